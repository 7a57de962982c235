import type { AbortOptions } from '../../../lib/async.ts'
import type { Clock } from '../../../lib/clock.ts'
import { Engine } from './engine.ts'
import { statusOf } from './errors.ts'

export interface RemoveImageOptions {
  readonly socketPath: string
  readonly clock: Clock
}

/** Removes an image by its tag. False: it is not there, or something else uses it, and it stays. */
export async function removeImage(
  ref: string,
  { socketPath, clock }: RemoveImageOptions,
  { signal }: AbortOptions,
): Promise<boolean> {
  const engine = new Engine({ socketPath, clock })
  try {
    await engine.raw({ what: `remove image "${ref}"`, ms: 30_000, signal }, (docker, abortSignal) =>
      docker.getImage(ref).remove({ abortSignal }),
    )
    return true
  } catch (err) {
    if (statusOf(err) === 404 || statusOf(err) === 409) return false
    throw err
  }
}
