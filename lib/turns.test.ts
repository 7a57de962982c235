import { expect, test } from 'vitest'
import { createTurns, endlessTurns } from './turns.ts'

/** Time passes only while work is done. */
function world() {
  let nowMs = 0
  const turns = createTurns(() => nowMs)
  const done: string[] = []
  const work = async (name: string, ms: number): Promise<void> => {
    const turn = turns.pass()
    if (turn !== undefined) await turn
    nowMs += ms
    await null
    nowMs += ms
    done.push(name)
  }
  return { turns, done, work }
}
const turnOver = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('what takes little may all be done in one turn', async () => {
  const { work, done } = world()
  for (const name of ['a', 'b', 'c']) void work(name, 0.1)
  await null
  await null
  expect(done).toEqual(['a', 'b', 'c'])
})

test('when a turn has had its time the rest waits for the next ones, in the order of asking', async () => {
  const { work, done } = world()
  const all = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => work(name, 3))
  await null
  await null
  expect(done, 'begun before 8 ms were over').toEqual(['a', 'b', 'c'])
  await turnOver()
  expect(done, 'now each is done before the next begins').toEqual(['a', 'b', 'c', 'd', 'e'])
  await turnOver()
  expect(done).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  await Promise.all(all)
})

test('who asks again stands behind those who wait, although the turn is young', async () => {
  const { work, done } = world()
  const again = async (): Promise<void> => {
    await work('b', 1)
    await work('b again', 1)
  }
  await Promise.all([work('a', 9), again(), work('c', 1)])
  expect(done).toEqual(['a', 'b', 'c', 'b again'])
})

test('one that asks for a later turn gets it, however little there is to do', async () => {
  const { turns } = world()
  const order: string[] = []
  const asked = turns.next().then(() => order.push('later'))
  await null
  await new Promise<void>((resolve) => process.nextTick(resolve))
  order.push('now')
  await asked
  expect(order).toEqual(['now', 'later'])
})

test('long work in between leaves those who wait their share', async () => {
  let nowMs = 0
  const turns = createTurns(() => nowMs)
  const work = async (): Promise<void> => {
    const turn = turns.pass()
    if (turn !== undefined) await turn
    nowMs += 4
  }
  const all = [work(), work(), work(), work(), work(), work(), work()]
  nowMs += 40 // Work that did not ask.
  let turnsTaken = 0
  const finished = Promise.all(all).then(() => true)
  while (!(await Promise.race([finished, turnOver()]))) turnsTaken++
  expect(turnsTaken).toBeLessThanOrEqual(1)
})

test('where time does not pass nobody waits', () => {
  expect(endlessTurns.pass()).toBeUndefined()
})
