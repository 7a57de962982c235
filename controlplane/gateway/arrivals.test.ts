import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import type { Turns } from '../../lib/slots.ts'
import { type ArrivalLimits, Arrivals } from './arrivals.ts'

const small: ArrivalLimits = { atOnce: 2, placeMs: 300, callMs: 900, waiting: 4, waitMs: 2000 }

/** A record of a handshake. */
const hello = (words: string): Buffer => Buffer.concat([Buffer.from([22, 3, 1, 0, words.length]), Buffer.from(words)])

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
    async come(...chunks: Buffer[]): Promise<Socket> {
      port += 1
      const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
      Object.assign(socket, { remoteAddress: '10.0.0.9', remotePort: port })
      arrivals.add(socket as Socket)
      for (const chunk of chunks) socket.push(chunk)
      await settle()
      return socket as Socket
    },
    async hello(count = 1): Promise<readonly Socket[]> {
      const all: Socket[] = []
      for (let made = 0; made < count; made++) all.push(await this.come(hello('x')))
      return all
    },
    arrive: ({ remotePort }: Socket) => arrivals.arrived(`10.0.0.9:${remotePort}`),
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

test('so many are admitted at a time, the last and the first to come by turns, and what they have sent goes with them', async () => {
  const bed = createBed()
  const first = await bed.come(hello('abc').subarray(0, 3), hello('abc').subarray(3), Buffer.from('more'))
  const [second] = await bed.hello(4)
  expect(bed.admitted).toEqual([1, 2])
  expect(first.read()).toEqual(Buffer.concat([hello('abc'), Buffer.from('more')]))
  bed.arrive(first)
  bed.arrivals.arrived('10.0.0.9:4711')
  expect(bed.admitted).toEqual([1, 2, 5])
  second?.destroy()
  await settle()
  expect(bed.admitted).toEqual([1, 2, 5, 3])
  expect(bed.arrivals.waiting).toBe(1)
})

test('who has not sent a record takes no place and has to go in the end; who speaks another language goes at once', async () => {
  const bed = createBed()
  const silent = [await bed.come(), await bed.come(hello('abc').subarray(0, 7)), await bed.come(hello('').subarray(0, 4))]
  const stranger = await bed.come(Buffer.from('GET / HTTP/1.1'))
  expect(stranger.destroyed).toBe(true)
  await bed.hello()
  expect(bed.admitted).toEqual([5])
  bed.clock.step(1999)
  expect(silent.map(({ destroyed }) => destroyed)).toEqual([false, false, false])
  bed.clock.step(1)
  expect(silent.map(({ destroyed }) => destroyed)).toEqual([true, true, true])
  expect(bed.arrivals.waiting).toBe(0)
})

test('who does not come to a call loses its place, and in the end its connection', async () => {
  const bed = createBed()
  const [slow, arriving] = await bed.hello(3)
  bed.clock.step(299)
  expect(bed.admitted).toEqual([1, 2])
  bed.clock.step(1)
  expect(bed.admitted).toEqual([1, 2, 3])
  if (arriving !== undefined) bed.arrive(arriving)
  bed.clock.step(599)
  expect(slow?.destroyed).toBe(false)
  bed.clock.step(1)
  expect([slow?.destroyed, arriving?.destroyed]).toEqual([true, false])
})

test('who has gone while it waited is not admitted, and who waits too long has to go', async () => {
  const bed = createBed()
  const [first] = await bed.hello(2)
  const [ended, broken, patient] = await bed.hello(3)
  ended?.push(null)
  broken?.destroy(new Error('reset'))
  await settle()
  expect(bed.arrivals.waiting).toBe(1)
  if (first !== undefined) bed.arrive(first)
  expect(bed.admitted).toEqual([1, 2, patient?.remotePort])
  expect(ended?.destroyed).toBe(true)
  const idle = createBed({ limits: { ...small, atOnce: 0 } })
  const [waiting] = await idle.hello()
  idle.clock.step(2000)
  expect(waiting?.destroyed).toBe(true)
})

test('of too many the one that has waited longest goes, and so does one that sends too much', async () => {
  const bed = createBed()
  await bed.hello(2)
  const waiting = [...(await bed.hello()), await bed.come(), ...(await bed.hello(2))]
  await bed.hello()
  expect(waiting.map(({ destroyed }) => destroyed)).toEqual([true, false, false, false])
  waiting[2]?.push(Buffer.alloc(16_384))
  await settle()
  expect(waiting[2]?.destroyed).toBe(true)
  expect(bed.arrivals.waiting).toBe(3)
})

test('none is admitted in a turn that has lasted long', async () => {
  let isYoung = true
  const later: (() => void)[] = []
  const bed = createBed({ turns: { isYoung: () => isYoung, next: (run) => void later.push(run) } })
  await bed.hello()
  isYoung = false
  await bed.hello(2)
  expect(bed.admitted).toEqual([1])
  expect(later).toHaveLength(1)
  isYoung = true
  for (const run of later) run()
  expect(bed.admitted).toEqual([1, 2])
})

test('whoever waits or has not come to a call is cut off when it closes', async () => {
  const bed = createBed()
  const all = [...(await bed.hello(3)), await bed.come()]
  bed.clock.step(300)
  expect(bed.admitted).toEqual([1, 2, 3])
  bed.arrivals.close()
  expect(all.map(({ destroyed }) => destroyed)).toEqual([true, true, true, true])
  await settle()
  expect(bed.admitted).toEqual([1, 2, 3])
})
