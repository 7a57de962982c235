import { randomBytes } from 'node:crypto'

/** Randomness comes in through the door (law 8), so that a run can be replayed from a seed. */
export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** `count` random bytes. */
  bytes(count: number): Uint8Array
}

const poolBytes = 4_096
const mostPooled = 64

/** The system's, fetched in lumps: a call of the system for each identifier costs more than all else about it. */
class SystemRandom implements Random {
  #pool = Buffer.alloc(0)

  next(): number {
    return this.#take(6).readUIntBE(0, 6) / 2 ** 48
  }

  bytes(count: number): Uint8Array {
    // A copy: what was handed out stays nowhere else.
    return count > mostPooled ? randomBytes(count) : Uint8Array.from(this.#take(count))
  }

  #take(count: number): Buffer {
    if (this.#pool.length < count) this.#pool = randomBytes(poolBytes)
    const taken = Buffer.from(this.#pool.subarray(0, count))
    this.#pool.fill(0, 0, count)
    this.#pool = this.#pool.subarray(count)
    return taken
  }
}

export const systemRandom: Random = new SystemRandom()

/** Reproducible from `seed` (mulberry32). Never for keys or tokens. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return { next, bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)) }
}

/** RFC 9562 version 4. */
export function uuid(random: Random): string {
  const bytes = random.bytes(16)
  const at = (index: number): number => bytes[index] ?? 0
  bytes[6] = (at(6) & 0x0f) | 0x40
  bytes[8] = (at(8) & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789'

/** A name suffix of letters and digits that spells no word (Kubernetes: names made from generateName). */
export function nameSuffix(random: Random, length = 5): string {
  let suffix = ''
  for (let i = 0; i < length; i++) suffix += suffixAlphabet[Math.floor(random.next() * suffixAlphabet.length)]
  return suffix
}
