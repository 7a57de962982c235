/** Reads what the engine said without trusting its shape: a missing or odd field is absent, never a crash. */
export function field(value: unknown, ...path: readonly string[]): unknown {
  let at = value
  for (const name of path) {
    if (typeof at !== 'object' || at === null) return undefined
    at = (at as Readonly<Record<string, unknown>>)[name]
  }
  return at
}

export function text(value: unknown, ...path: readonly string[]): string {
  const found = field(value, ...path)
  return typeof found === 'string' ? found : ''
}

export function number(value: unknown, ...path: readonly string[]): number | undefined {
  const found = field(value, ...path)
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined
}

export function isTrue(value: unknown, ...path: readonly string[]): boolean {
  return field(value, ...path) === true
}

export function list(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = field(value, ...path)
  return Array.isArray(found) ? found : []
}

export function texts(value: unknown, ...path: readonly string[]): readonly string[] {
  return list(value, ...path).filter((item) => typeof item === 'string')
}

/** A map of strings such as labels. */
export function textMap(value: unknown, ...path: readonly string[]): Readonly<Record<string, string>> {
  const found = field(value, ...path)
  if (typeof found !== 'object' || found === null) return {}
  const map: Record<string, string> = {}
  for (const [key, item] of Object.entries(found)) if (typeof item === 'string') map[key] = item
  return map
}
