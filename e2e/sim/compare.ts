import { censusDifferences } from './census.ts'
import { type Outcome, type RunOptions, runSeed } from './run.ts'

/**
 * Sieve's comparison, literally: the same seed without faults and with them. What somebody named must have come and gone
 * as often, object by object, and so be there in the end or not; exceptions are those of the census.
 */
export async function compareSeed(options: RunOptions): Promise<Outcome> {
  const calm = await runSeed({ ...options, isFaultFree: true })
  if (calm.problem !== undefined) return { ...calm, problem: `without faults: ${calm.problem}` }
  const outcome = await runSeed({ ...options, isFaultFree: false })
  if (outcome.problem !== undefined) return outcome
  const differing = censusDifferences(outcome.census, calm.census, outcome)
  return differing.length === 0 ? outcome : { ...outcome, problem: `not as without faults: ${differing.join('; ')}` }
}
