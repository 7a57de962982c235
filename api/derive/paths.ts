import type { KindDef } from '../kinds/define.ts'

/** A place in the API, as its path names it. What the path leaves out is undefined. */
export interface ApiPath {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly namespace: string | undefined
  readonly name: string | undefined
  readonly subresource: string | undefined
  /** What follows the subresource, as in `…/proxy/metrics`. */
  readonly rest: string | undefined
}

export interface Place {
  readonly kind: Pick<KindDef, 'group' | 'version' | 'plural'>
  readonly namespace?: string | undefined
  readonly name?: string | undefined
  readonly subresource?: string | undefined
}

/** `/api/v1`, `/apis/apps/v1`. */
export const groupVersionPath = ({ group, version }: { readonly group: string; readonly version: string }): string =>
  group === '' ? `/api/${version}` : `/apis/${group}/${version}`

/** The path of a collection, of an object or of a part of one. */
export function restPath({ kind, namespace, name, subresource }: Place): string {
  const room = namespace === undefined ? [] : ['namespaces', namespace]
  const below = [...room, kind.plural, name, subresource].filter((part) => part !== undefined)
  return `${groupVersionPath(kind)}/${below.map(encodeURIComponent).join('/')}`
}

/**
 * Reads the path of a resource; undefined when it is no such path (discovery, health, nonsense).
 *
 * `/namespaces/x` is the Namespace x, `/namespaces/x/pods` the Pods in it, and `/namespaces/x/status` a part of the
 * Namespace: Kubernetes reserves the two names of a Namespace's parts, no resource is called so.
 */
export function parseRestPath(path: string): ApiPath | undefined {
  const parts = decodeParts(path)
  if (parts === undefined) return undefined
  const [root, ...below] = parts
  if (root === 'api') return resource('', below)
  const [group, ...rest] = below
  return root === 'apis' && group !== undefined && group !== '' ? resource(group, rest) : undefined
}

function decodeParts(path: string): readonly string[] | undefined {
  if (!path.startsWith('/')) return undefined
  const raw = path.slice(1).replace(/\/$/, '').split('/')
  try {
    const parts = path.includes('%') ? raw.map(decodeURIComponent) : raw
    return parts.every(isPlain) ? parts : undefined
  } catch {
    return undefined // A broken escape names nothing.
  }
}

/** An escaped slash or dots would let a name reach another place. */
const isPlain = (part: string): boolean =>
  part !== '' && part !== '.' && part !== '..' && !part.includes('/') && !part.includes('\0')

const partsOfNamespace = new Set(['status', 'finalize'])

function resource(group: string, [version, ...below]: readonly string[]): ApiPath | undefined {
  if (version === undefined || below.length === 0) return undefined
  const [first, second, third] = below
  const isInside = first === 'namespaces' && second !== undefined && third !== undefined
  if (isInside && !(group === '' && below.length === 3 && partsOfNamespace.has(third))) {
    return located({ group, version, namespace: second }, below.slice(2))
  }
  return located({ group, version, namespace: undefined }, below)
}

function located(
  room: Pick<ApiPath, 'group' | 'version' | 'namespace'>,
  [plural, name, subresource, ...rest]: readonly string[],
): ApiPath | undefined {
  if (plural === undefined) return undefined
  return { ...room, plural, name, subresource, rest: rest.length === 0 ? undefined : rest.join('/') }
}
