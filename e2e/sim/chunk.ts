// A process of `npm run sim`: runs the seeds that its parent names, tells of each, and ends.
import process from 'node:process'
import { must } from '../../lib/assert.ts'
import { compareSeed } from './compare.ts'
import { plants } from './plants.ts'
import { runSeed } from './run.ts'

export interface Chunk {
  readonly first: number
  readonly count: number
  readonly isFaultFree: boolean
  /** Each seed without faults too, and both compared. */
  readonly isCompared: boolean
  readonly plant?: string
}

export interface SeedReport {
  readonly seed: number
  readonly problem: string | undefined
  readonly hash: string
  readonly virtualMs: number
  readonly faults: readonly (readonly [kind: string, count: number])[]
  /** Of the whole process so far. */
  readonly cpuMs: number
  readonly rssBytes: number
}

const collectEvery = 50

async function run({ first, count, isFaultFree, isCompared, plant }: Chunk): Promise<void> {
  const planted = plant === undefined ? {} : { plant: must(plants[plant], `a bug is called "${plant}"`) }
  for (let seed = first; seed < first + count; seed++) {
    const { problem, hash, virtualMs, faults } = await (isCompared ? compareSeed : runSeed)({ seed, isFaultFree, ...planted })
    const { user, system } = process.cpuUsage()
    const cpuMs = (user + system) / 1000
    const report: SeedReport = { seed, problem, hash, virtualMs, faults: [...faults], cpuMs, rssBytes: process.memoryUsage.rss() }
    process.send?.(report)
    // Worlds that are over lie in the heap until it is full, and it takes its time to be.
    if (seed % collectEvery === 0) globalThis.gc?.()
  }
  process.disconnect?.()
}

process.once('message', (chunk) => void run(chunk as Chunk)) // Its parent's, as `runBatch` sends it.
