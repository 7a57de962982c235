import { createHash } from 'node:crypto'
import { type Container, containersOf, type Pod } from './pod-types.ts'

/** Fields whose change asks for a new container. Probes, hooks and pull policy take effect without one. */
const relevant = [
  'image',
  'command',
  'args',
  'env',
  'envFrom',
  'workingDir',
  'ports',
  'volumeMounts',
  'resources',
  'securityContext',
  'stdin',
  'tty',
  'terminationMessagePath',
] as const satisfies readonly (keyof Container)[]

/** Same fields, same hash, whatever the order of keys. */
export function specHash(container: Container): string {
  const fields = relevant.map((name) => [name, container[name]] as const)
  return createHash('sha256')
    .update(canonical(Object.fromEntries(fields)))
    .digest('hex')
    .slice(0, 16)
}

const cache = new WeakMap<Pod, ReadonlyMap<string, string>>()

/** By container name. Desired pods are never changed in place, so this is computed once for each. */
export function specHashes(pod: Pod): ReadonlyMap<string, string> {
  const known = cache.get(pod)
  if (known !== undefined) return known
  const hashes = new Map(containersOf(pod).map((one) => [one.name, specHash(one)]))
  cache.set(pod, hashes)
  return hashes
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? ''
  )
}
