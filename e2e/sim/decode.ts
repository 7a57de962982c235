import type { ApiObject } from '../../api/meta/object-meta.ts'
import { decodeObject } from '../../controlplane/store/codec.ts'
import type { KeyValue } from '../../controlplane/store/store.ts'

const decoded = new WeakMap<KeyValue, ApiObject>()

/** All parts of a world read the same store, and what they read is frozen: once is enough. */
export function sharedDecode(item: KeyValue): ApiObject {
  const known = decoded.get(item)
  if (known !== undefined) return known
  const object = decodeObject(item)
  decoded.set(item, object)
  return object
}
