import { objectMetaSchema } from '../kinds/object-meta-schema.ts'
import { atomicList, bool, int32, int64, message, opt, req, str } from '../kinds/schema.ts'
import { objectReferenceSchema } from '../kinds/shared.ts'
import { type SchemaNode, schemaNode } from './schema-node.ts'

const ptr = { pointer: true } as const
const meta = opt(objectMetaSchema, 'Name, labels and bookkeeping.', { tag: 1 })

const deleteOptions = message('io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions', 'How an object is to be deleted.', {
  gracePeriodSeconds: opt(int64(), 'Seconds given to the object to end; 0 for none.', { tag: 1, ...ptr }),
  preconditions: opt(
    message('io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions', 'What must hold for the deletion.', {
      uid: opt(str(), 'The UID that the object must have.', { tag: 1, ...ptr }),
      resourceVersion: opt(str(), 'The revision that the object must have.', { tag: 2, ...ptr }),
    }),
    'What must hold for the deletion.',
    { tag: 2 },
  ),
  orphanDependents: opt(bool(), 'Old form of propagationPolicy.', { tag: 3, ...ptr }),
  propagationPolicy: opt(str(), 'What becomes of dependents: Foreground, Background or Orphan.', { tag: 4, ...ptr }),
  dryRun: opt(atomicList(str()), 'All: check everything, delete nothing.', { tag: 5 }),
})

const scale = message('io.k8s.api.autoscaling.v1.Scale', 'How many pods a workload is to have, and has.', {
  metadata: meta,
  spec: opt(
    message('io.k8s.api.autoscaling.v1.ScaleSpec', 'How many pods there are to be.', {
      replicas: opt(int32(), 'How many pods there are to be.', { tag: 1 }),
    }),
    'How many pods there are to be.',
    { tag: 2 },
  ),
  status: opt(
    message('io.k8s.api.autoscaling.v1.ScaleStatus', 'How many pods there are.', {
      replicas: req(int32(), 'How many pods there are.', { tag: 1 }),
      selector: opt(str(), 'Selects the pods.', { tag: 2 }),
    }),
    'How many pods there are.',
    { tag: 3 },
  ),
})

const binding = message('io.k8s.api.core.v1.Binding', 'Puts a pod on a node.', {
  metadata: meta,
  target: req(objectReferenceSchema, 'The node.', { tag: 2 }),
})

const eviction = message('io.k8s.api.policy.v1.Eviction', 'Asks for the end of a pod, as far as budgets allow it.', {
  metadata: meta,
  deleteOptions: opt(deleteOptions, 'How the pod is to be deleted.', { tag: 2 }),
})

const accessReview = message('io.k8s.api.authorization.v1.SelfSubjectAccessReview', 'Asks whether the asker may do something.', {
  metadata: meta,
  spec: req(
    message('io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec', 'What is asked for.', {
      resourceAttributes: opt(
        message('io.k8s.api.authorization.v1.ResourceAttributes', 'A request for a resource.', {
          namespace: opt(str(), 'Namespace; empty for all.', { tag: 1 }),
          verb: opt(str(), 'As in get, list, create.', { tag: 2 }),
          group: opt(str(), 'API group.', { tag: 3 }),
          version: opt(str(), 'API version.', { tag: 4 }),
          resource: opt(str(), 'As in pods.', { tag: 5 }),
          subresource: opt(str(), 'As in log.', { tag: 6 }),
          name: opt(str(), 'Name; empty for all.', { tag: 7 }),
        }),
        'A request for a resource.',
        { tag: 1 },
      ),
      nonResourceAttributes: opt(
        message('io.k8s.api.authorization.v1.NonResourceAttributes', 'A request for another path.', {
          path: opt(str(), 'The path.', { tag: 1 }),
          verb: opt(str(), 'As in get.', { tag: 2 }),
        }),
        'A request for another path.',
        { tag: 2 },
      ),
    }),
    'What is asked for.',
    { tag: 2 },
  ),
})

const rulesReview = message('io.k8s.api.authorization.v1.SelfSubjectRulesReview', 'Asks what the asker may do.', {
  metadata: meta,
  spec: req(
    message('io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec', 'Where.', {
      namespace: opt(str(), 'The namespace that is asked about.', { tag: 1 }),
    }),
    'Where.',
    { tag: 2 },
  ),
})

const subjectReview = message('io.k8s.api.authentication.v1.SelfSubjectReview', 'Asks who the asker is.', { metadata: meta })

/** Bodies that are no kinds of their own, by `apiVersion/kind`. DeleteOptions come under the version of what is deleted. */
const bodies: Readonly<Record<string, SchemaNode>> = {
  'autoscaling/v1/Scale': schemaNode(scale),
  'v1/Binding': schemaNode(binding),
  'policy/v1/Eviction': schemaNode(eviction),
  'authorization.k8s.io/v1/SelfSubjectAccessReview': schemaNode(accessReview),
  'authorization.k8s.io/v1/SelfSubjectRulesReview': schemaNode(rulesReview),
  'authentication.k8s.io/v1/SelfSubjectReview': schemaNode(subjectReview),
}

export function bodySchema(apiVersion: string, kind: string): SchemaNode | undefined {
  if (kind === 'DeleteOptions') return schemaNode(deleteOptions)
  const key = `${apiVersion}/${kind}`
  return Object.hasOwn(bodies, key) ? bodies[key] : undefined
}
