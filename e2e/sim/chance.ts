import { must } from '../../lib/assert.ts'
import { type Random, seededRandom } from '../../lib/random.ts'

/** Choices from one seed. */
export class Chance {
  readonly random: Random

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  /** A source of its own for one part, so that what one part draws does not change what another gets. */
  fork(): Random {
    return seededRandom(this.int(0, 2 ** 31))
  }

  /** A whole number from `least` to `most`, both included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.random.next() * (most - least + 1))
  }

  is(probability: number): boolean {
    return this.random.next() < probability
  }

  pick<T>(choices: readonly T[]): T {
    return must(choices[this.int(0, choices.length - 1)], 'there is something to pick from')
  }

  /** Of choices with weights. */
  weighted<T>(choices: readonly (readonly [weight: number, choice: T])[]): T {
    const total = choices.reduce((sum, [weight]) => sum + weight, 0)
    let at = this.random.next() * total
    for (const [weight, choice] of choices) {
      at -= weight
      if (at < 0) return choice
    }
    return must(choices.at(-1), 'there is something to pick from')[1]
  }
}
