import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import process from 'node:process'
import { type AbortOptions, sleep } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import { mustRun, type RunCommand } from '../host/command.ts'
import { RuntimeError } from '../runtime/runtime.ts'
import { ContainerProcesses } from './container-processes.ts'
import type { Architecture } from './elf.ts'
import { failedName, gateElf, waitingName } from './gate-elf.ts'
import { nameElf } from './name-elf.ts'
import { ProgramFile } from './program-file.ts'

export interface GatesOptions {
  /** The program is kept here, for containers to have it mounted. */
  readonly folder: string
  readonly architecture: Architecture
  readonly run: RunCommand
  readonly clock: Clock
}

/** A container's first process. */
export interface GateTarget {
  readonly containerId: string
  readonly pid: number
}

/** What the gate ends with when it is run without arguments. */
const usageCode = 64
/** For the gate to see its name; it looks each millisecond, when there is a core for it. */
const openMs = 10_000
const lookMs = 1

/** Gives containers in sandboxes that were prepared ahead the host name of their pod, and lets their commands begin. */
export class Gates {
  readonly #options: GatesOptions
  readonly #gate: ProgramFile
  readonly #namer: ProgramFile
  readonly #processes = new ContainerProcesses()

  constructor(options: GatesOptions) {
    this.#options = options
    const { folder, architecture } = options
    this.#gate = new ProgramFile(folder, 'gate', gateElf(architecture))
    this.#namer = new ProgramFile(folder, 'name', nameElf(architecture))
  }

  /** The program's file, made anew when somebody has removed it. */
  async program({ signal }: AbortOptions): Promise<string> {
    signal.throwIfAborted()
    // Whoever has a container with a gate will name it.
    await Promise.all([this.#gate.ensure(), this.#namer.ensure()])
    return this.#gate.path
  }

  /** Why the program cannot be run from its folder, which may be mounted so that no program can; undefined when it can. */
  async trouble(opts: AbortOptions): Promise<string | undefined> {
    try {
      const { code, stderr } = await this.#options.run({ program: await this.program(opts), args: [] }, opts)
      return code === usageCode ? undefined : `it ended with ${code}: ${stderr}`
    } catch (err) {
      opts.signal.throwIfAborted()
      return err instanceof Error ? err.message : String(err)
    }
  }

  /** Whether the container's first process still runs. */
  async isThere(target: GateTarget): Promise<boolean> {
    this.#processes.learn(target)
    return isOf(target)
  }

  /**
   * Names a container that was started just now. False when its process was not found, or not named: it may have ended.
   */
  async nameEarly(containerId: string, hostname: string, opts: AbortOptions): Promise<boolean> {
    const pid = this.#processes.firstOf(containerId)
    if (pid === undefined) return false
    try {
      await this.name({ containerId, pid }, hostname, opts)
      return true
    } catch {
      opts.signal.throwIfAborted()
      return false // `open` tries again, and says what is wrong.
    }
  }

  /** Sets the host name that a container's processes see. Throws NotFound when the container has ended. */
  async name(target: GateTarget, hostname: string, opts: AbortOptions): Promise<void> {
    // It goes into a script.
    if (!/^[a-z0-9]([-.a-z0-9]{0,61}[a-z0-9])?$/i.test(hostname))
      throw new RuntimeError('InvalidSpec', `"${hostname}" is no host name`)
    const ended = new RuntimeError('NotFound', 'the container ended before it had its host name')
    // Held open, so that it is this namespace whoever has the process id afterwards.
    const namespace = unlessGone(() => openSync(`/proc/${target.pid}/ns/uts`, 'r'))
    if (namespace === undefined) throw ended
    try {
      if (fstatSync(namespace).ino === statSync('/proc/self/ns/uts').ino)
        throw new RuntimeError('InvalidSpec', 'the container has the host’s own host name')
      // The process id was the container's when the namespace was opened if it is so now.
      if (!isOf(target)) throw ended
      await this.#nameIn(`/proc/${process.pid}/fd/${namespace}`, hostname, opts)
    } finally {
      closeSync(namespace)
    }
  }

  async #nameIn(namespace: string, hostname: string, opts: AbortOptions): Promise<void> {
    const { run } = this.#options
    const isNamed = await run({ program: this.#namer.path, args: [namespace, hostname] }, opts).then(
      ({ code }) => code === 0,
      () => opts.signal.throwIfAborted(),
    )
    if (isNamed === true) return
    // The program may have been removed, or cannot be run from its folder any more.
    const args = [`--uts=${namespace}`, 'sh', '-c', `echo ${hostname} >/proc/sys/kernel/hostname`]
    await mustRun(run, 'set the host name of a container', { program: 'nsenter', args }, opts)
  }

  /**
   * Names a container and sees its command begin. False when the gate could not become the command, and waits to be
   * removed. One that began long ago keeps its name; one that has ended is fine.
   */
  async open(
    target: GateTarget,
    hostname: string,
    { isNamed = false, ...opts }: AbortOptions & { readonly isNamed?: boolean },
  ): Promise<boolean> {
    const { clock } = this.#options
    // Whatever the process is called: a started container may still be the engine's for a moment, before it is the gate.
    if (!isNamed) await this.#nameIfThere(target, hostname, opts)
    const untilMs = clock.monotonicMs() + openMs
    for (;;) {
      const name = nameOfProcess(target)
      if (name !== waitingName && !isRuntimes(name)) return name !== failedName
      if (clock.monotonicMs() >= untilMs) throw new RuntimeError('Timeout', 'the gate of the container does not open')
      await sleep(clock, lookMs, opts.signal)
    }
  }

  async #nameIfThere(target: GateTarget, hostname: string, opts: AbortOptions): Promise<void> {
    try {
      await this.name(target, hostname, opts)
    } catch (err) {
      opts.signal.throwIfAborted()
      if (isOf(target)) throw err
    }
  }
}

/** What low-level runtimes call a container's first process until it becomes the container's program. */
const isRuntimes = (name: string | undefined): boolean => name !== undefined && /^(runc:|crun|youki:)/.test(name)

// What follows reads synchronously: the kernel answers from memory in some ten microseconds, where each way through the
// pool of threads takes longer than that, and the container's command waits meanwhile.

/** What the kernel calls the container's first process; undefined when that has ended. */
function nameOfProcess(target: GateTarget): string | undefined {
  const name = unlessGone(() => readFileSync(`/proc/${target.pid}/comm`, 'utf8'))
  return isOf(target) ? name?.trimEnd() : undefined
}

/** The process id may belong to anybody by now. */
function isOf({ containerId, pid }: GateTarget): boolean {
  return unlessGone(() => readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.includes(containerId) === true
}

/** A process may end at any moment, and its folder with it. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}
