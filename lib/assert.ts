/** Throws unless `condition` holds. For what cannot happen: a failure is a bug in Skiff, never a user's mistake. */
export function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new AssertionError(why)
}

/** Returns `value`, or throws when it is absent. Says why it must be there. */
export function must<T>(value: T | undefined | null, why: string): T {
  if (value === undefined || value === null) throw new AssertionError(why)
  return value
}

/** Ends an exhaustive switch; the compiler rejects the call while a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`)
}

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}
