import { expect, test } from 'vitest'
import { processTurns, Slots, type Turns } from './slots.ts'

const { signal } = new AbortController()
const ticks = async (): Promise<void> => {
  for (let count = 0; count < 20; count++) await new Promise<void>((done) => process.nextTick(done))
}

/** Work that says when it has begun and ends when told. */
function world(slots: Slots) {
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const work = (name: string, stop: AbortSignal = signal): Promise<string> =>
    slots.run({ signal: stop }, async () => {
      begun.push(name)
      await new Promise<void>((done) => ends.set(name, done))
      return name
    })
  return { begun, work, end: (name: string) => ends.get(name)?.() }
}

/** A turn in which two begin; the next comes when the test says. */
function stepped(): Turns & { turn(): void } {
  let asked = 0
  const later: (() => void)[] = []
  return {
    isYoung: () => asked++ < 2,
    next: (run) => void later.push(run),
    turn() {
      asked = 0
      for (const run of later.splice(0)) run()
    },
  }
}

test('so many are under way at a time, the others follow in the order of asking', async () => {
  const slots = new Slots(2)
  const { begun, work, end } = world(slots)
  const all = ['a', 'b', 'c', 'd'].map((name) => work(name))
  await ticks()
  expect(begun).toEqual(['a', 'b'])
  expect(slots.waiting).toBe(2)
  end('b')
  await ticks()
  expect(begun).toEqual(['a', 'b', 'c'])
  end('a')
  await ticks()
  for (const name of ['c', 'd']) end(name)
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd'])
})

test('work that fails gives its place back, also when it throws at once', async () => {
  const slots = new Slots(1)
  const refused = slots.run({ signal }, async () => await Promise.reject(new Error('no')))
  const thrown = slots.run({ signal }, () => {
    throw new Error('at once')
  })
  const last = slots.run({ signal }, async () => 'done')
  await expect(refused).rejects.toThrow('no')
  await expect(thrown).rejects.toThrow('at once')
  expect(await last).toBe('done')
})

test('who is aborted while waiting leaves at once and is never begun', async () => {
  const slots = new Slots(1)
  const { begun, work, end } = world(slots)
  const gone = new AbortController()
  const first = work('a')
  const second = work('b', gone.signal)
  const third = work('c')
  gone.abort(new Error('the line is gone'))
  await expect(second).rejects.toThrow('the line is gone')
  expect(slots.waiting).toBe(1)
  end('a')
  await ticks()
  end('c')
  await Promise.all([first, third])
  expect(begun).toEqual(['a', 'c'])
  await expect(work('d', gone.signal)).rejects.toThrow('the line is gone')
})

test('when a turn has had its time the rest begins in later ones, though there are places', async () => {
  const turns = stepped()
  const slots = new Slots(10, turns)
  const { begun, work } = world(slots)
  for (const name of ['a', 'b', 'c', 'd', 'e']) void work(name)
  await ticks()
  expect(begun).toEqual(['a', 'b'])
  void work('f')
  await ticks()
  expect(begun, 'who comes later waits behind the others').toEqual(['a', 'b'])
  turns.turn()
  await ticks()
  expect(begun).toEqual(['a', 'b', 'c', 'd'])
  turns.turn()
  await ticks()
  expect(begun).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})

test('what is begun has come as far as it gets by itself before the time is looked at', async () => {
  const order: string[] = []
  const slots = new Slots(2, { isYoung: () => order.push('looked') > 0, next: (run) => run() })
  const work = async (name: string): Promise<void> => {
    await null
    await null
    order.push(name)
  }
  await Promise.all([slots.run({ signal }, () => work('a')), slots.run({ signal }, () => work('b'))])
  expect(order).toEqual(['looked', 'a', 'looked', 'b'])
})

test('a turn of the process ages by what is done in it, and the next one is young again', async () => {
  let nowMs = 0
  const turns = processTurns(5, () => nowMs)
  expect(turns.isYoung()).toBe(true)
  nowMs = 4
  expect(turns.isYoung()).toBe(true)
  nowMs = 5
  expect(turns.isYoung()).toBe(false)
  await new Promise<void>((done) => turns.next(done))
  expect(turns.isYoung()).toBe(true)
})
