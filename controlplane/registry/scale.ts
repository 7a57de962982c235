import { decodeObject } from '../../api/derive/validate.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import { objectMetaSchema } from '../../api/kinds/object-meta-schema.ts'
import { int32, message, opt, req, str, Type } from '../../api/kinds/schema.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { ApiResponse } from '../../api/meta/request.ts'
import { badRequest, invalid, invalidObject } from '../../api/meta/status.ts'
import { must } from '../../lib/assert.ts'
import { answer, type Call, type Deps, placeOf } from './call.ts'
import { changeObject, type Place } from './commit.ts'
import { checkVersion, fieldsOf, isSame, refuseWrong, withGeneration } from './prepare.ts'
import { readObject } from './read.ts'
import { patched } from './update.ts'

/** autoscaling/v1 Scale: no kind of its own, but a view of one. */
const scaleKind: KindDef = {
  group: 'autoscaling',
  version: 'v1',
  apiVersion: 'autoscaling/v1',
  kind: 'Scale',
  listKind: 'ScaleList',
  plural: 'scales',
  singular: 'scale',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  subresources: [],
  doc: 'How many pods a workload has.',
  columns: [],
  strategy: {},
  schema: Type.Object(
    {
      apiVersion: Type.Optional(Type.String()),
      kind: Type.Optional(Type.String()),
      metadata: Type.Optional({ ...objectMetaSchema, 'x-proto': 1 }),
      spec: opt(
        message('io.k8s.api.autoscaling.v1.ScaleSpec', 'The wanted count.', {
          replicas: opt(int32(), 'How many pods there are to be.', { tag: 1 }),
        }),
        'The wanted count.',
        { tag: 2 },
      ),
      status: opt(
        message('io.k8s.api.autoscaling.v1.ScaleStatus', 'The present count.', {
          replicas: req(int32(), 'How many pods there are.', { tag: 1 }),
          selector: opt(str(), 'Selector of the pods.', { tag: 2 }),
        }),
        'The present count.',
        { tag: 3 },
      ),
    },
    { 'x-name': 'io.k8s.api.autoscaling.v1.Scale', additionalProperties: false },
  ) as unknown as KindDef['schema'],
}

/** Of a kind that has the subresource: the router has looked. */
const rulesOf = ({ strategy, kind }: KindDef) => must(strategy.scale, `${kind} has the subresource scale`)

function scaleOf(kind: KindDef, object: ApiObject): ApiObject {
  const rules = rulesOf(kind)
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  const metadata = { name, namespace, uid, resourceVersion, creationTimestamp }
  const given = Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined))
  const scale = {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: given,
    spec: { replicas: rules.getReplicas(object) },
    status: rules.observed(object),
  }
  return scale
}

export async function getScale(deps: Deps, call: Call): Promise<ApiResponse> {
  const { kind, name } = placeOf(call)
  return answer(scaleOf(kind, await readObject(deps, { ...call.request, name }, call.opts)))
}

export async function updateScale(deps: Deps, call: Call): Promise<ApiResponse> {
  const place = placeOf(call)
  const { kind } = place
  const outcome = await changeObject(
    deps,
    place,
    (current) => {
      const input = call.request.verb === 'patch' ? patched(call, scaleOf(kind, current)) : call.request.body
      const scale = readScale(place, input, call)
      checkVersion(kind, scale.given, current)
      const next = rulesOf(kind).setReplicas(current, scale.replicas)
      refuseWrong(kind, next, kind.strategy.validate?.(next) ?? [])
      return isSame(next, current) ? undefined : { object: withGeneration(next, current) }
    },
    call.opts,
  )
  return answer(scaleOf(kind, outcome.object))
}

function readScale({ name }: Place, input: unknown, { options }: Call): { readonly given: ApiObject; readonly replicas: number } {
  const { object, errors } = decodeObject(scaleKind, input, { fieldValidation: options.fieldValidation ?? 'Warn' })
  if (errors.length > 0) throw invalidObject(scaleKind, name, errors)
  if ((object.metadata.name ?? name) !== name)
    throw badRequest(`the name of the object (${object.metadata.name}) does not match the name on the URL (${name})`)
  const { spec } = fieldsOf(object)
  const replicas: unknown = typeof spec === 'object' && spec !== null ? (Reflect.get(spec, 'replicas') ?? 0) : 0
  if (typeof replicas !== 'number' || replicas < 0)
    throw invalidObject(scaleKind, name, [invalid('spec.replicas', replicas, 'must be greater than or equal to 0')])
  return { given: object, replicas }
}
