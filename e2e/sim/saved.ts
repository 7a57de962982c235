/** Brings back what was there. */
export type Restore = () => void

type Collection = Map<unknown, unknown> | Set<unknown>

/** What lies in the collections now, to be brought back, any number of times. Lists in them are copied. */
export function saved(...collections: readonly Collection[]): Restore {
  const restores = collections.map((one) => (one instanceof Map ? savedMap(one) : savedSet(one)))
  return () => {
    for (const restore of restores) restore()
  }
}

const copyOf = (value: unknown): unknown => (Array.isArray(value) ? [...value] : value)

function savedMap(map: Map<unknown, unknown>): Restore {
  const entries = [...map].map(([key, value]) => [key, copyOf(value)] as const)
  return () => {
    map.clear()
    for (const [key, value] of entries) map.set(key, copyOf(value))
  }
}

function savedSet(set: Set<unknown>): Restore {
  const values = [...set]
  return () => {
    set.clear()
    for (const value of values) set.add(value)
  }
}
