import { atomicList, bool, int64, mapList, message, opt, req, setList, str, stringMap, Type, time } from './schema.ts'

const ownerReferenceSchema = message(
  'io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference',
  'An object that owns this one; when all owners are gone, the garbage collector deletes this object too.',
  {
    apiVersion: req(str(), 'API version of the owner.', { tag: 5 }),
    kind: req(str(), 'Kind of the owner.', { tag: 1 }),
    name: req(str(), 'Name of the owner.', { tag: 3 }),
    uid: req(str(), 'UID of the owner; a new object of the same name is another owner.', { tag: 4 }),
    controller: opt(bool(), 'Whether the owner is the managing controller; at most one is.', { tag: 6, pointer: true }),
    blockOwnerDeletion: opt(bool(), 'Whether a foreground deletion of the owner waits for this object.', {
      tag: 7,
      pointer: true,
    }),
  },
)

export const objectMetaSchema = message(
  'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta',
  'Name, labels and bookkeeping of an object.',
  {
    name: opt(str(), 'Unique within a namespace and kind; cannot be changed.', { tag: 1 }),
    generateName: opt(str(), 'Prefix from which the server makes a unique name when none is given.', { tag: 2 }),
    namespace: opt(str(), 'The namespace the object lives in; cannot be changed.', { tag: 3 }),
    selfLink: opt(str(), 'No longer set by any server.', { tag: 4 }),
    uid: opt(str(), 'Set by the server; differs between objects of the same name over time.', { tag: 5 }),
    resourceVersion: opt(str(), 'Revision of the last change; send it back to detect concurrent writes.', { tag: 6 }),
    generation: opt(int64(), 'Counts changes of the desired state. Set by the server.', { tag: 7 }),
    creationTimestamp: opt(
      Type.Unsafe<string>({ ...time(), type: ['string', 'null'] }),
      'When the object was created. Set by the server.',
      { tag: 8 },
    ),
    deletionTimestamp: opt(
      Type.Unsafe<string>({ ...time(), type: ['string', 'null'] }),
      'When the object is due to be gone; set by the server on a graceful deletion.',
      { tag: 9, pointer: true },
    ),
    deletionGracePeriodSeconds: opt(int64(), 'Seconds given to the object to end gracefully. Set by the server.', {
      tag: 10,
      pointer: true,
    }),
    labels: opt(stringMap(), 'Keys and values that selectors match.', { tag: 11 }),
    annotations: opt(stringMap(), 'Free keys and values for tools.', { tag: 12 }),
    ownerReferences: opt(mapList(ownerReferenceSchema, 'uid'), 'Objects that own this one.', { tag: 13 }),
    finalizers: opt(setList(str()), 'The object stays until each of these has been removed by whoever set it.', { tag: 14 }),
    managedFields: opt(
      atomicList(Type.Unsafe<Record<string, unknown>>({ type: 'object' })),
      'Which manager set which field. Accepted and kept, not used yet.',
      { tag: 17 },
    ),
  },
)
