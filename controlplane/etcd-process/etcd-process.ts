import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { must } from '../../lib/assert.ts'
import { type AbortOptions, Bell, sleep, withDeadline } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { privateFolder } from '../../lib/private-files.ts'
import type { Service } from '../../lib/service.ts'
import { clientUrl, type EtcdFiles, etcdArgs, etcdEnvironment, memberFolder } from './etcd-args.ts'
import { type ProbeTls, probeEtcd } from './probe.ts'
import { findRunning, forgetRunning, rememberRunning, runsOn, stopRunning } from './running.ts'

export interface EtcdProcessOptions {
  readonly binary: string
  readonly dataFolder: string
  readonly clientPort?: number
  readonly peerPort?: number
  readonly files: EtcdFiles
  /** What we ourselves show to etcd; asked each time, so that a renewed certificate is taken up. */
  readonly client: ProbeTls | (() => ProbeTls)
  readonly clock: Clock
  readonly log: Log
  readonly quotaBytes?: number
  /** How long a start may take: etcd reads its log first. */
  readonly startMs?: number
  /** How long it may take to end before it is killed. It loses nothing then, but starts more slowly. */
  readonly stopMs?: number
}

export interface EtcdProcess extends Service {
  readonly endpoints: readonly string[]
  /** Resolves when etcd serves. */
  waitReady(opts: AbortOptions): Promise<void>
}

const probeMs = 2_000
const maxLogBytes = 16 * 1024 * 1024

/**
 * One etcd member for one data folder, as a child. Aborting stops it. A control plane that dies leaves it running, and
 * the next one adopts it; there are never two on the same data. `run` rejects when etcd ends by itself.
 */
export function etcdProcess(options: EtcdProcessOptions): EtcdProcess {
  return new ChildEtcd(options)
}

class ChildEtcd implements EtcdProcess {
  readonly name = 'etcd'
  readonly endpoints: readonly string[]
  readonly #options: Required<EtcdProcessOptions>
  readonly #endpoint: string
  readonly #logFile: string
  /** Rings when a child has ended. */
  readonly #ended = new Bell()

  constructor(options: EtcdProcessOptions) {
    const defaults = { clientPort: 2379, peerPort: 2380, quotaBytes: 4 * 1024 ** 3, startMs: 60_000, stopMs: 10_000 }
    this.#options = { ...defaults, ...options }
    this.#endpoint = clientUrl(this.#options)
    this.endpoints = [this.#endpoint]
    this.#logFile = join(options.dataFolder, 'etcd.log')
  }

  async waitReady({ signal }: AbortOptions): Promise<void> {
    for (;;) {
      const why = await this.#probe(signal)
      if (why === undefined) return
      await sleep(this.#options.clock, 100, signal)
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { dataFolder, log } = this.#options
    signal.throwIfAborted()
    await privateFolder(dataFolder)
    await privateFolder(memberFolder(dataFolder))
    const adopted = await this.#adopt(signal)
    const pid = adopted ?? (await this.#start(signal))
    try {
      await this.#ready(pid, signal)
      log.info('etcd serves', { endpoint: this.#endpoint, pid, isAdopted: adopted !== undefined })
      await this.#watchOver(pid, { isChild: adopted === undefined, signal })
    } catch (err) {
      if (!signal.aborted) throw err
    } finally {
      await this.#stop(pid)
    }
  }

  /** The etcd that was left running on our data, if it serves where we look for it; else, or when aborted, it is stopped. */
  async #adopt(signal: AbortSignal): Promise<number | undefined> {
    const { dataFolder, log, clock } = this.#options
    const pid = await findRunning(dataFolder)
    if (pid === undefined) return undefined
    for (let attempt = 0; attempt < 3 && !signal.aborted; attempt++) {
      const why = await this.#probe(signal).catch((err: unknown) => err)
      if (why === undefined) return pid
      log.warn('an etcd that was left running does not answer', { pid, err: why })
      await sleep(clock, 500, signal).catch(() => undefined) // Aborted: it is stopped now.
    }
    await this.#stop(pid)
    return undefined
  }

  async #start(signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    const { binary, dataFolder, log } = this.#options
    // A file and not a pipe: writing to a pipe whose reader died would end etcd together with us.
    await using output = await open(this.#logFile, 'a', 0o600)
    await this.#boundLog()
    // In a process group of its own, so that Ctrl-C in a terminal ends it in its turn, after those who need it.
    const child = spawn(binary, [...etcdArgs(this.#options)], {
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
      env: etcdEnvironment(process.arch),
    })
    child.unref()
    child.once('exit', () => this.#ended.ring())
    await once(child, 'spawn') // Rejects with what kept it from starting.
    log.info('etcd started', { binary, pid: child.pid })
    const pid = must(child.pid, 'what was spawned has a number')
    await rememberRunning(dataFolder, pid)
    return pid
  }

  async #ready(pid: number, signal: AbortSignal): Promise<void> {
    const { clock, startMs } = this.#options
    await withDeadline({ clock, ms: startMs, signal, what: 'starting etcd' }, async (inner) => {
      for (;;) {
        if ((await this.#probe(inner)) === undefined) return
        await this.#checkAlive(pid)
        await sleep(clock, 100, inner)
      }
    })
  }

  /** Rejects when aborted, or when etcd is gone: a child's end is told, an adopted one has to be looked for. */
  async #watchOver(pid: number, { isChild, signal }: AbortOptions & { isChild: boolean }): Promise<never> {
    for (let round = 0; ; round++) {
      await this.#checkAlive(pid)
      if (isChild || round % 60 === 0) await this.#boundLog()
      await this.#ended.wait({ signal, clock: this.#options.clock, timeoutMs: isChild ? 60_000 : 1_000 })
    }
  }

  async #checkAlive(pid: number): Promise<void> {
    if (await runsOn(pid, this.#options.dataFolder)) return
    throw new Error(`etcd has ended; its last words: ${await this.#lastWords()}`)
  }

  async #lastWords(): Promise<string> {
    const text = await readFile(this.#logFile, 'utf8').catch((err: unknown) => String(err))
    return text.trimEnd().split('\n').slice(-3).join(' | ').slice(-1_000)
  }

  /** etcd appends, so that it goes on at the beginning of the emptied file. */
  async #boundLog(): Promise<void> {
    if ((await stat(this.#logFile)).size > maxLogBytes) await truncate(this.#logFile, 0)
  }

  async #stop(pid: number): Promise<void> {
    const { dataFolder, clock, stopMs } = this.#options
    // Goes on when everything else was aborted: this is the end of it, bounded by the kill.
    const { signal } = new AbortController()
    await stopRunning(pid, { dataFolder, clock, graceMs: stopMs, signal })
    await forgetRunning(dataFolder, pid)
  }

  /** Why etcd can't serve; undefined when it can. */
  async #probe(signal: AbortSignal): Promise<unknown> {
    const { clock, client } = this.#options
    try {
      await withDeadline({ clock, ms: probeMs, signal, what: 'asking etcd for its health' }, (inner) =>
        probeEtcd(this.#endpoint, { ...(typeof client === 'function' ? client() : client), signal: inner }),
      )
      return undefined
    } catch (err) {
      if (signal.aborted) throw err
      return err
    }
  }
}
