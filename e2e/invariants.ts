// Whether faults do harm: Docker and etcd are read directly before, during and after each, and a row says what was seen.
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import {
  duplicates,
  type Look,
  lost,
  orphans,
  restarted,
  type SeenContainer,
  type SeenPod,
  unsettled,
} from './invariants/judge.ts'
import { type FaultRow, writeRows } from './invariants/rows.ts'
import type { WatcherOptions } from './invariants/watcher.ts'
import { type Machine, root } from './machine.ts'

export interface CheckerOptions {
  /** Names the file of rows, and their table; without it no rows are kept. */
  readonly name?: string
  /** Sockets of Docker Engines; the machine's own when not given. */
  readonly engines?: readonly string[]
  /** The machine's own etcd when not given; PEM texts. */
  readonly etcd?: WatcherOptions['etcd']
}

export interface Fault {
  /** As the row names it. */
  readonly fault: string
  /** Makes the fault. Recovery is timed from its begin, or from when it says that the fault is over. */
  readonly act: (time: { isOver(): void }) => Promise<void>
  /** Containers that this fault hits: these may be restarted. */
  readonly mayRestart?: (container: SeenContainer) => boolean
  /** Pods without a controller that may be gone afterwards. */
  readonly mayGo?: (pod: SeenPod) => boolean
  /** More that has to be so before the cluster counts as recovered. */
  readonly alsoWhen?: () => Promise<boolean>
  /** After this it is told what is wrong. */
  readonly limitMs?: number
  /** Recovered means: so for this long. */
  readonly quietMs?: number
}

export interface Checker extends AsyncDisposable {
  /** What Docker and etcd say now, with the times when containers were started. */
  look(): Promise<Look>
  /** Makes the fault, waits until everything is well again, and records and gives the row. */
  during(fault: Fault): Promise<FaultRow>
}

/** What every row must be. */
export const noHarm = { lost: 0, duplicate: 0, orphan: 0, restarted: 0 } as const

const sampleMs = 250
export const nowMs = (): number => Number(process.hrtime.bigint() / 1_000_000n)

/** Begins to watch a machine on which Skiff is up. */
export async function startChecker(m: Machine, options: CheckerOptions = {}): Promise<Checker> {
  const pki = (name: string): string => readFileSync(join(m.dataDir, 'pki', name), 'utf8')
  const watch: WatcherOptions = {
    engines: options.engines ?? [m.engine.host.replace('unix://', '')],
    etcd: options.etcd ?? {
      endpoints: ['https://127.0.0.1:6445'],
      ca: pki('etcd-ca.crt'),
      cert: pki('etcd-client.crt'),
      key: pki('etcd-client.key'),
    },
    everyMs: sampleMs,
  }
  const child = m.spawn(process.execPath, [join(root, 'e2e/invariants/watcher.ts'), JSON.stringify(watch)])
  return new RunningChecker(options.name, child)
}

class RunningChecker implements Checker {
  readonly #name: string | undefined
  readonly #child: ChildProcess
  readonly #rows: FaultRow[] = []
  readonly #full: ((look: Look) => void)[] = []
  #quick: (look: Look) => void = () => undefined
  #said = ''

  constructor(name: string | undefined, child: ChildProcess) {
    this.#name = name
    this.#child = child
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk.toString()}`.slice(-4_000)
    })
    if (child.stdout === null) throw new Error('the watcher has no output')
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { is, look } = JSON.parse(line) as { readonly is: 'quick' | 'full'; readonly look: Look }
      if (is === 'full') this.#full.shift()?.(look)
      else this.#quick(look)
    })
  }

  async look(): Promise<Look> {
    if (this.#child.exitCode !== null) throw new Error(`the watcher has ended:\n${this.#said}`)
    const answer = Promise.withResolvers<Look>()
    this.#full.push(answer.resolve)
    this.#child.stdin?.write('look\n')
    const late = setTimeout(() => answer.reject(new Error(`the watcher does not answer:\n${this.#said}`)), 20_000)
    return await answer.promise.finally(() => clearTimeout(late))
  }

  async during({ fault, act, ...options }: Fault): Promise<FaultRow> {
    const { mayRestart = () => false, mayGo = () => false, alsoWhen } = options
    const { limitMs = 60_000, quietMs = 2_000 } = options
    const before = await this.look()
    const doubles = new Set<string>()
    let problems = unsettled(before, before, mayGo)
    let goodSinceMs = problems.length > 0 ? undefined : before.atMs
    this.#quick = (look) => {
      for (const double of duplicates(look)) doubles.add(double)
      problems = unsettled(look, before, mayGo)
      goodSinceMs = problems.length > 0 ? undefined : (goodSinceMs ?? look.atMs)
    }
    try {
      let fromMs = nowMs()
      await act({
        isOver: () => {
          fromMs = nowMs()
        },
      })
      const actedMs = nowMs()
      const settledMs = await this.#settle({ actedMs, limitMs, quietMs, alsoWhen, goodSince: () => goodSinceMs })
      const after = await this.look()
      const row: FaultRow = {
        fault,
        lost: lost(after, before, mayGo).length,
        duplicate: doubles.size,
        orphan: orphans(after).length,
        restarted: restarted(before, after, mayRestart).length,
        seconds: settledMs === undefined ? undefined : Math.max(0, Math.round((settledMs - fromMs) / 100) / 10),
        problems: [
          ...[...doubles].map((text) => `twice: ${text}`),
          ...restarted(before, after, mayRestart).map((text) => `restarted: ${text}`),
          ...unsettled(after, before, mayGo),
          ...(settledMs === undefined ? ['not recovered in time', ...problems] : []),
        ],
      }
      this.#rows.push(row)
      if (this.#name !== undefined) writeRows(this.#name, this.#rows)
      return row
    } finally {
      this.#quick = () => undefined
    }
  }

  /** When everything became well for good; undefined: not in time. */
  async #settle(options: {
    readonly actedMs: number
    readonly limitMs: number
    readonly quietMs: number
    readonly alsoWhen: (() => Promise<boolean>) | undefined
    readonly goodSince: () => number | undefined
  }): Promise<number | undefined> {
    const { actedMs, limitMs, quietMs, alsoWhen, goodSince } = options
    let alsoMs: number | undefined = alsoWhen === undefined ? 0 : undefined
    while (nowMs() - actedMs < limitMs) {
      if (alsoMs === undefined && (await alsoWhen?.())) alsoMs = nowMs()
      const sinceMs = goodSince()
      // What was well while the fault was being made may not have felt it yet.
      if (alsoMs !== undefined && sinceMs !== undefined && nowMs() - Math.max(sinceMs, actedMs) >= quietMs)
        return Math.max(sinceMs, alsoMs)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    return undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve))
    if (this.#child.exitCode !== null) return
    this.#child.stdin?.end()
    await ended
  }
}
