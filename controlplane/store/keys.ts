import { objectPrefix } from './store.ts'

/** What a key needs to know of a kind. */
export interface KeyedKind {
  readonly group: string
  readonly plural: string
}

export interface ObjectKey {
  readonly group: string
  readonly plural: string
  readonly namespace: string | undefined
  readonly name: string
}

/** Neither is a possible name: groups of custom kinds have a dot, and no name begins with a dash. */
const coreGroup = 'core'
const noNamespace = '-'

/** `/skiff/objects/<group>/<plural>/`: every object of a kind. It ends in a slash, so `foo` never lists `foobar`. */
export function kindPrefix(kind: KeyedKind): string {
  return `${objectPrefix}${kind.group === '' ? coreGroup : kind.group}/${kind.plural}/`
}

/** Where an object lies. Injective: names cannot hold a slash, which validation has refused before. */
export function objectKey(kind: KeyedKind, namespace: string | undefined, name: string): string {
  return `${kindPrefix(kind)}${checked(namespace === undefined || namespace === '' ? noNamespace : namespace)}/${checked(name)}`
}

/** The parts of a key under the object prefix; undefined when it is none of ours. */
export function parseObjectKey(key: string): ObjectKey | undefined {
  if (!key.startsWith(objectPrefix)) return undefined
  const [group, plural, namespace, name, ...more] = key.slice(objectPrefix.length).split('/')
  if (!group || !plural || !namespace || !name || more.length > 0) return undefined
  return { group: group === coreGroup ? '' : group, plural, namespace: namespace === noNamespace ? undefined : namespace, name }
}

function checked(part: string): string {
  // A slash would make the key of another object, or of another kind.
  if (part === '' || part.includes('/')) throw new Error(`"${part}" cannot be part of a storage key`)
  return part
}
