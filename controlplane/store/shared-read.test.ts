import { expect, test } from 'vitest'
import { SharedRead } from './shared-read.ts'

const { signal } = new AbortController()

/** A source that answers when told, with how often it was asked. */
function source() {
  const pending: { resolve: (value: number) => void; reject: (err: Error) => void }[] = []
  let asked = 0
  const read = new SharedRead<number>(() => {
    asked++
    return new Promise((resolve, reject) => pending.push({ resolve, reject }))
  })
  return { read, pending, asked: () => asked }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('who asks after a read was sent gets a later one, four are under way at most, and all who wait share the next', async () => {
  const { read, pending, asked } = source()
  const early: Promise<number>[] = []
  for (let sent = 1; sent <= 4; sent++) {
    early.push(read.read({ signal }))
    await turn()
    expect(asked()).toBe(sent)
  }
  const later = [read.read({ signal }), read.read({ signal }), read.read({ signal })]
  await turn()
  expect(asked()).toBe(4)
  pending[1]?.resolve(2)
  expect(await early[1]).toBe(2)
  await turn()
  expect(asked()).toBe(5)
  pending[4]?.resolve(5)
  expect(await Promise.all(later)).toEqual([5, 5, 5])
  for (const [at, { resolve }] of pending.entries()) resolve(at + 1)
  expect(await Promise.all(early)).toEqual([1, 2, 3, 4])
})

test('a failure reaches those who waited for it, and the next read is a new one', async () => {
  const { read, pending } = source()
  const first = read.read({ signal })
  await turn()
  const second = read.read({ signal })
  pending[0]?.reject(new Error('away'))
  await expect(first).rejects.toThrow('away')
  await turn()
  pending[1]?.resolve(2)
  expect(await second).toBe(2)
})

test('who no longer wants to wait does not disturb the others', async () => {
  const { read, pending } = source()
  const stop = new AbortController()
  const impatient = read.read({ signal: stop.signal })
  const patient = read.read({ signal })
  await turn()
  stop.abort(new Error('no longer'))
  await expect(impatient).rejects.toThrow('no longer')
  pending[0]?.resolve(1)
  expect(await patient).toBe(1)
})

test('who asks while others are gathered shares the read with them, and it begins after all of them asked', async () => {
  let go: () => void = () => undefined
  let asked = 0
  const read = new SharedRead(
    () => Promise.resolve(++asked),
    () => new Promise((resolve) => (go = resolve)),
  )
  const first = read.read({ signal })
  await turn()
  const second = read.read({ signal })
  await turn()
  expect(asked).toBe(0)
  go()
  expect(await Promise.all([first, second])).toEqual([1, 1])
})
