import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import { AddressesExhausted, AddressPool } from './address-pool.ts'
import { parseCidr } from './cidr.ts'

const reuseDelayMs = 60_000
const leastDelayMs = 5_000
function pool(cidr = '10.85.3.0/29', clock = new FakeClock()) {
  return { clock, addresses: new AddressPool({ cidr: parseCidr(cidr), clock, reuseDelayMs }) }
}

test('network, gateway and broadcast addresses are nobody’s', () => {
  const { addresses } = pool()
  const all = ['a', 'b', 'c', 'd', 'e'].map((owner) => addresses.allocate(owner))
  expect(all).toEqual(['10.85.3.2', '10.85.3.3', '10.85.3.4', '10.85.3.5', '10.85.3.6'])
  expect(() => addresses.allocate('f')).toThrow('all are in use')
})

test('an owner that asks again gets the same', () => {
  const { addresses } = pool()
  expect(addresses.allocate('a')).toBe(addresses.allocate('a'))
  expect(addresses.inUse).toBe(1)
})

test('a freed address rests while there are others', () => {
  const { addresses, clock } = pool('10.85.3.0/29')
  const ip = addresses.allocate('a')
  addresses.release('a')
  clock.step(leastDelayMs)
  const others = ['b', 'c', 'd', 'e'].map((owner) => addresses.allocate(owner))
  expect(others).not.toContain(ip)
  expect(addresses.allocate('f')).toBe(ip)
})

test('when none has rested for long the longest free one is taken, but none that was freed just now', () => {
  const { addresses, clock } = pool('10.85.3.0/30')
  const ip = addresses.allocate('a')
  addresses.release('a')
  expect(() => addresses.allocate('b')).toThrow('in use until a moment ago')
  clock.step(leastDelayMs)
  expect(addresses.allocate('b')).toBe(ip)
})

test('a claimed address is not given to another, and cannot be claimed twice', () => {
  const { addresses } = pool()
  expect(addresses.claim('10.85.3.2', 'a')).toBe(true)
  expect(addresses.claim('10.85.3.2', 'a')).toBe(true)
  expect(addresses.claim('10.85.3.2', 'b')).toBe(false)
  expect(addresses.allocate('b')).not.toBe('10.85.3.2')
})

test('an address of an earlier range of the node needs no place', () => {
  const { addresses } = pool()
  expect(addresses.claim('10.99.0.5', 'a')).toBe(true)
  expect(addresses.inUse).toBe(0)
})

type Step =
  | { readonly do: 'allocate' | 'release' | 'claim'; readonly owner: string; readonly last: number }
  | { readonly do: 'wait'; readonly ms: number }
const owner = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom('allocate' as const, 'release' as const, 'claim' as const),
    owner,
    last: fc.integer({ min: 0, max: 9 }),
  }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 2 * reuseDelayMs }) }),
)

/** What ought to hold, kept beside the pool. */
class Model {
  readonly clock = new FakeClock()
  readonly pool = new AddressPool({ cidr: parseCidr('10.85.3.0/29'), clock: this.clock, reuseDelayMs })
  readonly owners = new Map<string, string>()
  readonly #freedAtMs = new Map<string, number>()

  run(next: Step): void {
    if (next.do === 'wait') this.clock.step(next.ms)
    else if (next.do === 'release') this.release(next.owner)
    else if (next.do === 'claim') this.claim(next.owner, next.last)
    else this.allocate(next.owner)
    expect(this.pool.inUse).toBe(this.owners.size)
  }

  release(who: string): void {
    this.pool.release(who)
    this.#free(who)
  }

  claim(who: string, last: number): void {
    const ip = `10.85.3.${last}`
    const holder = [...this.owners].find(([, has]) => has === ip)?.[0]
    const isInside = last < 8
    expect(this.pool.claim(ip, who)).toBe(!isInside || holder === undefined || holder === who)
    if (!isInside || holder !== undefined) return
    this.#free(who)
    this.owners.set(who, ip)
  }

  allocate(who: string): void {
    const has = this.owners.get(who)
    const ip = tryAllocate(this.pool, who)
    if (ip === undefined) return
    if (has === undefined) expect(ip).toMatch(/^10\.85\.3\.[2-6]$/)
    if (has !== undefined) expect(ip).toBe(has)
    else expect([...this.owners.values()]).not.toContain(ip)
    const freedAtMs = this.#freedAtMs.get(ip)
    if (has === undefined && freedAtMs !== undefined) this.#expectRested(this.clock.monotonicMs() - freedAtMs)
    this.owners.set(who, ip)
  }

  /** Less than a long rest is given only when no free address had one. */
  #expectRested(restMs: number): void {
    expect(restMs).toBeGreaterThanOrEqual(leastDelayMs)
    if (restMs >= reuseDelayMs) return
    const taken = new Set(this.owners.values())
    for (const last of [2, 3, 4, 5, 6]) {
      const other = `10.85.3.${last}`
      const freedAtMs = this.#freedAtMs.get(other) ?? Number.NEGATIVE_INFINITY
      if (!taken.has(other)) expect(this.clock.monotonicMs() - freedAtMs).toBeLessThanOrEqual(restMs)
    }
  }

  #free(who: string): void {
    const ip = this.owners.get(who)
    if (ip !== undefined) this.#freedAtMs.set(ip, this.clock.monotonicMs())
    this.owners.delete(who)
  }
}

test('whatever happens, no two owners have the same address, and none comes back too early', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const model = new Model()
      for (const next of steps) model.run(next)
    }),
    { numRuns: 2_000 },
  )
})

function tryAllocate(addresses: AddressPool, who: string): string | undefined {
  try {
    return addresses.allocate(who)
  } catch (err) {
    if (err instanceof AddressesExhausted) return undefined
    throw err
  }
}

test('an owner that comes back can have its old address, unless another has it or it is of another range', () => {
  const pool = new AddressPool({ cidr: parseCidr('10.0.0.0/29'), clock: new FakeClock() })
  const ip = pool.allocate('a/0')
  pool.release('a/0')
  expect(pool.reclaim(ip, 'a/1')).toBe(true)
  expect(pool.allocate('a/1')).toBe(ip)
  expect(pool.reclaim(ip, 'b/0')).toBe(false)
  expect(pool.reclaim('10.9.9.9', 'c/0')).toBe(false)
  expect(pool.reclaim('10.0.0.1', 'c/0')).toBe(false)
})
