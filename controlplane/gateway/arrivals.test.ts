import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import type { Turns } from '../../lib/slots.ts'
import { type ArrivalLimits, Arrivals, peerOf } from './arrivals.ts'

const small: ArrivalLimits = { atOnce: 2, placeMs: 300, waiting: 4, silentMs: 1000, bytes: 10 }

function createBed({ limits = small, turns }: { limits?: ArrivalLimits; turns?: Turns } = {}) {
  const clock = new FakeClock()
  const admitted: Socket[] = []
  const arrivals = new Arrivals({ admit: (socket) => void admitted.push(socket), clock, limits, turns })
  let port = 0
  return {
    clock,
    arrivals,
    /** Ports of those that were admitted, in order. */
    get admitted() {
      return admitted.map(({ remotePort }) => remotePort)
    },
    come(...words: string[]): Socket {
      port += 1
      const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
      Object.assign(socket, { remoteAddress: '10.0.0.9', remotePort: port })
      arrivals.add(socket as Socket)
      for (const word of words) socket.push(word)
      return socket as Socket
    },
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

test('so many are admitted at a time, the last to come first, and what they have sent goes with them', async () => {
  const bed = createBed()
  const [first, second] = [bed.come('a', 'b'), bed.come('c')]
  await settle()
  bed.come('d')
  bed.come('e')
  await settle()
  expect(bed.admitted).toEqual([1, 2])
  expect(String(second.read())).toBe('c')
  expect(String(first.read())).toBe('ab')
  bed.arrivals.arrived(peerOf(first))
  bed.arrivals.arrived('10.0.0.9:4711')
  expect(bed.admitted).toEqual([1, 2, 4])
  second.destroy()
  await settle()
  expect(bed.admitted).toEqual([1, 2, 4, 3])
  expect(bed.arrivals.waiting).toBe(0)
})

test('who says nothing takes no place, and has to go in the end', async () => {
  const bed = createBed()
  const silent = [bed.come(), bed.come(), bed.come()]
  bed.come('x')
  await settle()
  expect(bed.admitted).toEqual([4])
  bed.clock.step(1000)
  expect(silent.every(({ destroyed }) => destroyed)).toBe(true)
  expect(bed.arrivals.waiting).toBe(0)
})

test('who does not come to a call loses its place, not its connection', async () => {
  const bed = createBed()
  const [slow] = [bed.come('x'), bed.come('x')]
  await settle()
  bed.come('x')
  await settle()
  bed.clock.step(299)
  expect(bed.admitted).toEqual([1, 2])
  bed.clock.step(1)
  expect(bed.admitted).toEqual([1, 2, 3])
  expect(slow.destroyed).toBe(false)
})

test('who has gone while it waited is not admitted', async () => {
  const bed = createBed()
  const first = bed.come('x')
  bed.come('x')
  await settle()
  const [ended, broken, patient] = [bed.come('x'), bed.come('x'), bed.come('x')]
  await settle()
  ended.push(null)
  broken.destroy(new Error('reset'))
  await settle()
  expect(bed.arrivals.waiting).toBe(1)
  bed.arrivals.arrived(peerOf(first))
  expect(bed.admitted).toEqual([1, 2, patient.remotePort])
  expect(ended.destroyed).toBe(true)
})

test('of too many the one that has waited longest goes, and so does one that sends too much', async () => {
  const bed = createBed()
  bed.come('x')
  bed.come('x')
  await settle()
  const waiting = [bed.come('x'), bed.come(), bed.come('x'), bed.come('x')]
  await settle()
  bed.come('x')
  expect(waiting.map(({ destroyed }) => destroyed)).toEqual([true, false, false, false])
  await settle()
  waiting[2]?.push('0123456789')
  await settle()
  expect(waiting[2]?.destroyed).toBe(true)
  expect(bed.arrivals.waiting).toBe(3)
})

test('none is admitted in a turn that has lasted long', async () => {
  let isYoung = true
  const later: (() => void)[] = []
  const bed = createBed({ turns: { isYoung: () => isYoung, next: (run) => void later.push(run) } })
  bed.come('x')
  await settle()
  isYoung = false
  bed.come('x')
  bed.come('x')
  await settle()
  expect(bed.admitted).toEqual([1])
  expect(later).toHaveLength(1)
  isYoung = true
  for (const run of later) run()
  expect(bed.admitted).toEqual([1, 3])
})

test('whoever waits or has not come to a call is cut off when it closes', async () => {
  const bed = createBed()
  const all = [bed.come('x'), bed.come('x'), bed.come('x'), bed.come()]
  await settle()
  bed.arrivals.close()
  expect(all.map(({ destroyed }) => destroyed)).toEqual([true, true, true, true])
  await settle()
  expect(bed.admitted).toEqual([1, 2])
})
