import { type ChildProcess, fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import type { Chunk, SeedReport } from './chunk.ts'

export interface BatchOptions {
  readonly first: number
  readonly count: number
  /** Processes at a time. */
  readonly jobs: number
  readonly isFaultFree?: boolean
  /** Each seed without faults too, and both compared. */
  readonly isCompared?: boolean
  /** Name of a bug to be planted. */
  readonly plant?: string
  /** Ends early after so many. */
  readonly mostFailures: number
  readonly say: (line: string) => void
}

export interface Failure {
  readonly seed: number
  readonly problem: string
}

export interface Summary {
  readonly done: number
  readonly failures: readonly Failure[]
  readonly faults: ReadonlyMap<string, number>
  readonly digest: string
  readonly virtualMs: number
  readonly cpuMs: number
  readonly mostRssBytes: number
}

/** So many seeds have the code compiled and cost one process's start little; its memory ends with it. */
const mostPerChunk = 1000
/**
 * A seed takes a fraction of a second: one that takes so long turns in a circle. Counted by ticks, not by the clock: a
 * batch that was itself stopped for a while is no seed that hangs.
 */
const hangsTicks = 180
const tickMs = 1000
const chunkProgram = new URL('chunk.ts', import.meta.url)

/** Runs seeds in processes of their own, a chunk each. What a seed does depends on nothing but its number. */
export async function runBatch(options: BatchOptions): Promise<Summary> {
  const tally = new Tally(options)
  const chunks = chunksOf(options)
  const lane = async (): Promise<void> => {
    for (let next = chunks.shift(); next !== undefined && !tally.isOver; next = chunks.shift()) {
      const rest = await runChunk(next, tally)
      if (rest !== undefined) chunks.unshift(rest)
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, lane))
  return tally.summary()
}

function chunksOf({ first, count, jobs, isFaultFree = false, isCompared = false, plant }: BatchOptions): Chunk[] {
  const size = Math.max(1, Math.min(mostPerChunk, Math.ceil(count / jobs)))
  return Array.from({ length: Math.ceil(count / size) }, (_, index) => ({
    first: first + index * size,
    count: Math.min(size, count - index * size),
    isFaultFree,
    isCompared,
    ...(plant === undefined ? {} : { plant }),
  }))
}

/** What is left to run when the process has died of a seed. */
async function runChunk(chunk: Chunk, tally: Tally): Promise<Chunk | undefined> {
  const child = fork(chunkProgram, {
    execArgv: ['--expose-gc', '--max-semi-space-size=32'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const end = chunk.first + chunk.count
  let next = chunk.first
  let cpuMs = 0
  const death = await watched(
    child,
    (report) => {
      next = report.seed + 1
      cpuMs = report.cpuMs
      tally.add(report)
      if (tally.isOver) child.kill('SIGKILL')
    },
    chunk,
  )
  tally.addCpu(cpuMs)
  if (next >= end || tally.isOver) return undefined
  tally.fail({ seed: next, problem: `its process ended: ${death}` })
  return next + 1 < end ? { ...chunk, first: next + 1, count: end - next - 1 } : undefined
}

/** Resolves with how the process has ended. */
function watched(child: ChildProcess, heard: (report: SeedReport) => void, chunk: Chunk): Promise<string> {
  return new Promise((resolve) => {
    let quietTicks = 0
    const timer = setInterval(() => {
      if (++quietTicks >= hangsTicks) child.kill('SIGKILL')
    }, tickMs)
    child.on('message', (message) => {
      quietTicks = 0
      heard(message as SeedReport) // Its own, as `chunk.ts` sends it.
    })
    child.on('error', (err) => {
      clearInterval(timer)
      resolve(err.message)
    })
    child.on('close', (code, signal) => {
      clearInterval(timer)
      resolve(
        quietTicks >= hangsTicks ? `nothing happened for ${(hangsTicks * tickMs) / 1000} s` : `code ${code}, signal ${signal}`,
      )
    })
    child.send(chunk)
  })
}

/** What has come of the seeds so far. */
class Tally {
  readonly #options: BatchOptions
  readonly #failures: Failure[] = []
  readonly #hashes = new Map<number, string>()
  readonly #faults = new Map<string, number>()
  #virtualMs = 0
  #cpuMs = 0
  #mostRssBytes = 0

  constructor(options: BatchOptions) {
    this.#options = options
  }

  get isOver(): boolean {
    return this.#failures.length >= this.#options.mostFailures
  }

  add({ seed, problem, hash, virtualMs, faults, rssBytes }: SeedReport): void {
    this.#hashes.set(seed, hash)
    this.#virtualMs += virtualMs
    this.#mostRssBytes = Math.max(this.#mostRssBytes, rssBytes)
    for (const [kind, count] of faults) this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + count)
    if (problem !== undefined) this.fail({ seed, problem })
    if (this.#hashes.size % 1000 === 0) this.#options.say(`${this.#hashes.size} seeds, ${this.#failures.length} failed`)
  }

  addCpu(cpuMs: number): void {
    this.#cpuMs += cpuMs
  }

  fail(failure: Failure): void {
    this.#failures.push(failure)
    this.#options.say(`seed ${failure.seed}: ${failure.problem}`)
  }

  summary(): Summary {
    const hash = createHash('sha256')
    for (const [seed, one] of [...this.#hashes].sort(([a], [b]) => a - b)) hash.update(`${seed} ${one}\n`)
    return {
      done: this.#hashes.size,
      failures: this.#failures.toSorted((a, b) => a.seed - b.seed),
      faults: this.#faults,
      digest: hash.digest('hex'),
      virtualMs: this.#virtualMs,
      cpuMs: this.#cpuMs,
      mostRssBytes: this.#mostRssBytes,
    }
  }
}
