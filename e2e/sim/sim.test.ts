import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { runBatch } from './batch.ts'
import { engineLies } from './engine.ts'
import { faultKinds } from './faults.ts'
import { lieKind } from './inflict.ts'
import { storeFaults } from './operator.ts'
import { plants } from './plants.ts'
import { runSeed } from './run.ts'

/** `npm test` runs these; `npm run sim -- --seeds N` runs any number. */
const seeds = 2000
const plantSeeds = 400
/** Where it takes what few seeds have: an agent also spares what a store leaves out that is not as far as it was. */
const firstSeeds: ReadonlyMap<string, number> = new Map([['does not hear that the store was put back', 1201]])
const comparedSeeds = 60

test('whatever goes wrong, in the end everything is as the user wished, and nothing that must not be was ever so', {
  timeout: 1_200_000,
}, async () => {
  const { failures, done, faults } = await runBatch({
    first: 1,
    count: seeds,
    jobs: availableParallelism(),
    mostFailures: 3,
    say,
  })
  expect(failures, 'npm run sim -- --seed SEED --trace').toEqual([])
  expect(done).toBe(seeds)
  // All that can go wrong has gone wrong.
  expect([...faultKinds, ...storeFaults, ...engineLies.map(lieKind)].filter((kind) => !faults.has(kind))).toEqual([])
})

test('seeds do the same however they are shared out among processes, and a failure is told', { timeout: 240_000 }, async () => {
  const few = { first: 1, count: 12, mostFailures: 1, say }
  const one = await runBatch({ ...few, jobs: 1 })
  const several = await runBatch({ ...few, jobs: 3 })
  expect(several.digest).toBe(one.digest)
  expect(one.failures).toEqual([])
  const broken = await runBatch({ ...few, jobs: 2, plant: 'forgets the fence' })
  expect(broken.failures[0]?.problem).toContain('without a fence')
})

test('with faults everything comes and goes as often as without', { timeout: 240_000 }, async () => {
  const { failures, done } = await runBatch({
    ...{ first: 1, count: comparedSeeds, isCompared: true },
    ...{ jobs: availableParallelism(), mostFailures: 3, say },
  })
  expect(failures, 'npm run sim -- --compare --from SEED --seeds 1').toEqual([])
  expect(done).toBe(comparedSeeds)
})

test('a seed replays to the letter', { timeout: 60_000 }, async () => {
  for (const seed of [3, 23, 44]) {
    const first: string[] = []
    const again: string[] = []
    const one = await runSeed({ seed, trace: (line) => first.push(line) })
    const other = await runSeed({ seed, trace: (line) => again.push(line) })
    expect(again).toEqual(first)
    expect(other).toEqual(one)
    // Being watched changes nothing.
    expect((await runSeed({ seed })).hash).toBe(one.hash)
  }
})

for (const [name, plant] of Object.entries(plants)) {
  test(`a bug that is planted is found: ${name}`, { timeout: 240_000 }, async () => {
    const first = firstSeeds.get(name) ?? 1
    for (let seed = first; seed < first + plantSeeds; seed++) if ((await runSeed({ seed, plant })).problem !== undefined) return
    expect.fail(`not found in ${plantSeeds} seeds`)
  })
}

const say = (line: string): void => console.log(line)
