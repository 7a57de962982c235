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

test('who asks while a read is on its way gets the next one, and all of them share it', async () => {
  const { read, pending, asked } = source()
  const first = read.read({ signal })
  await turn()
  const later = [read.read({ signal }), read.read({ signal }), read.read({ signal })]
  await turn()
  expect(asked()).toBe(1)
  pending[0]?.resolve(1)
  expect(await first).toBe(1)
  await turn()
  expect(asked()).toBe(2)
  pending[1]?.resolve(2)
  expect(await Promise.all(later)).toEqual([2, 2, 2])
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
