import { expect, test } from 'vitest'
import { plants } from './plants.ts'
import { type Outcome, runSeed } from './run.ts'

/** `npm test` runs as many seeds as fit into this; `npm run sim -- --seeds N` runs any number. */
const budgetMs = 40_000
const maxSeeds = 2000
const leastSeeds = 20
const plantSeeds = 400

test('whatever goes wrong, in the end everything is as the user wished, and nothing that must not be was ever so', {
  timeout: 300_000,
}, async () => {
  const endMs = performance.now() + budgetMs
  let count = 0
  for (; count < maxSeeds && (count < leastSeeds || performance.now() < endMs); count++)
    expectWell(await runSeed({ seed: count }))
  console.log(`${count} seeds`)
})

test('without faults every workload comes to rest', { timeout: 60_000 }, async () => {
  for (let seed = 0; seed < 8; seed++) expectWell(await runSeed({ seed, isFaultFree: true }))
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
    for (let seed = 1; seed <= plantSeeds; seed++) if ((await runSeed({ seed, plant })).problem !== undefined) return
    expect.fail(`not found in ${plantSeeds} seeds`)
  })
}

function expectWell({ seed, problem }: Outcome): void {
  expect(problem, `npm run sim -- --seed ${seed} --trace`).toBeUndefined()
}
