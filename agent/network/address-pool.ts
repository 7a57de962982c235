import type { Clock } from '../../lib/clock.ts'
import { type Cidr, contains, formatIp, parseIp } from './cidr.ts'

export interface AddressPoolOptions {
  readonly cidr: Cidr
  readonly clock: Clock
  /** A freed address is not given out again for this long while there are others: somebody may still send to it. */
  readonly reuseDelayMs?: number
  /** Nor for this long in any case. */
  readonly leastDelayMs?: number
}

export class AddressesExhausted extends Error {
  override readonly name = 'AddressesExhausted'
}

/**
 * The pods' addresses of one node: never the same one for two owners. Goes round the range, so that a freed address
 * rests as long as it can. Keeps nothing on disk: the addresses in use are claimed again from the sandboxes' labels.
 */
export class AddressPool {
  readonly cidr: Cidr
  readonly #clock: Clock
  readonly #reuseDelayMs: number
  readonly #leastDelayMs: number
  readonly #owners = new Map<number, string>()
  readonly #addresses = new Map<string, number>()
  readonly #freedAtMs = new Map<number, number>()
  #next: number

  constructor({ cidr, clock, reuseDelayMs = 60_000, leastDelayMs = 5_000 }: AddressPoolOptions) {
    this.cidr = cidr
    this.#clock = clock
    this.#reuseDelayMs = reuseDelayMs
    this.#leastDelayMs = Math.min(leastDelayMs, reuseDelayMs)
    this.#next = this.#firstUsable
  }

  /** Network address, gateway and broadcast are nobody's. */
  get #firstUsable(): number {
    return this.cidr.first + 2
  }

  get #count(): number {
    return Math.max(0, this.cidr.last - this.#firstUsable)
  }

  get inUse(): number {
    return this.#owners.size
  }

  /** The owner's address: the one that it has, or a new one. Throws AddressesExhausted when none can be given now. */
  allocate(owner: string): string {
    const has = this.#addresses.get(owner)
    if (has !== undefined) return formatIp(has)
    const address = this.#rested() ?? this.#longestFree()
    if (address === undefined) {
      const why = this.#owners.size >= this.#count ? 'all are in use' : 'the free ones were in use until a moment ago'
      throw new AddressesExhausted(`no address left for pods on this node: ${why}`)
    }
    this.#next = address + 1
    this.#take(address, owner)
    return formatIp(address)
  }

  /** The next one in the round that nobody has had for long. */
  #rested(): number | undefined {
    for (let tried = 0; tried < this.#count; tried++) {
      const address = this.#firstUsable + ((this.#next - this.#firstUsable + tried) % this.#count)
      if (!this.#owners.has(address) && this.#freeForMs(address) >= this.#reuseDelayMs) return address
    }
    return undefined
  }

  /** When pods come and go so fast that none has rested: the one that did so longest. */
  #longestFree(): number | undefined {
    let longest: number | undefined
    for (const address of this.#freedAtMs.keys()) {
      if (address < this.#firstUsable || address >= this.cidr.last) continue
      const isLonger = longest === undefined || this.#freeForMs(address) > this.#freeForMs(longest)
      if (isLonger && this.#freeForMs(address) >= this.#leastDelayMs) longest = address
    }
    return longest
  }

  /**
   * Takes note that `owner` has this address. False when another one has it. An address of another range (the node's
   * range has changed since) needs no note.
   */
  claim(ip: string, owner: string): boolean {
    const address = parseIp(ip)
    if (address === undefined || !contains(this.cidr, address)) return true
    const holder = this.#owners.get(address)
    if (holder !== undefined) return holder === owner
    this.release(owner)
    this.#take(address, owner)
    return true
  }

  /** Gives an owner the address that it asks for. False: another has it, or it is not one of this range. */
  reclaim(ip: string, owner: string): boolean {
    const address = parseIp(ip)
    const isUsable = address !== undefined && address >= this.#firstUsable && address < this.cidr.last
    return isUsable && this.claim(ip, owner)
  }

  /** The address goes over from one owner to another, who loses the one that he had. No address is fine. */
  transfer(from: string, to: string): void {
    const address = this.#addresses.get(from)
    if (address === undefined) return
    this.release(to)
    this.#addresses.delete(from)
    this.#take(address, to)
  }

  /** Addresses that could be given now or later. */
  get left(): number {
    return this.#count - this.#owners.size
  }

  /** No address is fine. */
  release(owner: string): void {
    const address = this.#addresses.get(owner)
    if (address === undefined) return
    this.#addresses.delete(owner)
    this.#owners.delete(address)
    this.#freedAtMs.set(address, this.#clock.monotonicMs())
  }

  #take(address: number, owner: string): void {
    this.#owners.set(address, owner)
    this.#addresses.set(owner, address)
    this.#freedAtMs.delete(address)
  }

  #freeForMs(address: number): number {
    const freedAtMs = this.#freedAtMs.get(address)
    return freedAtMs === undefined ? Number.POSITIVE_INFINITY : this.#clock.monotonicMs() - freedAtMs
  }
}
