import { dequal } from 'dequal'
import { decodeObject, withDefaults } from '../../api/derive/validate.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import type { ApiObject, ObjectMeta } from '../../api/meta/object-meta.ts'
import type { FieldValidation } from '../../api/meta/request.ts'
import { badRequest, conflict, type FieldError, forbiddenField, invalidObject, staleVersion } from '../../api/meta/status.ts'
import { revisionOf } from './read.ts'

type Body = Readonly<Record<string, unknown>>

/** Fields of an object by name: kinds are data here, so that their types are not known. */
export const fieldsOf = (object: ApiObject): Body => object as unknown as Body

export const withMeta = (object: ApiObject, meta: Partial<ObjectMeta>): ApiObject => ({
  ...object,
  metadata: { ...object.metadata, ...meta },
})

export function withoutMeta(object: ApiObject, ...keys: readonly (keyof ObjectMeta)[]): ApiObject {
  const metadata: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(object.metadata)) if (!keys.some((one) => one === key)) metadata[key] = value
  return { ...object, metadata }
}

export const hasStatus = (kind: KindDef): boolean => kind.subresources.includes('status')
export const hasGeneration = ({ strategy }: KindDef): boolean => strategy.hasGeneration ?? true

/** The path decides where an object lies; what the body says about it must agree. */
export function placed(object: ApiObject, { kind, namespace, name }: Target): ApiObject {
  const { metadata } = object
  if (kind.scope === 'Cluster' && (metadata.namespace ?? '') !== '')
    throw badRequest(`metadata.namespace: ${kind.plural} have no namespace`)
  if (namespace !== undefined && (metadata.namespace ?? '') !== '' && metadata.namespace !== namespace) {
    throw badRequest(
      `the namespace of the provided object does not match the namespace sent on the request: "${metadata.namespace}" and "${namespace}"`,
    )
  }
  if (name !== undefined && (metadata.name ?? '') !== '' && metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`)
  }
  return withMeta(withoutMeta(object, 'selfLink', 'namespace'), {
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
  })
}

export interface Target {
  readonly kind: KindDef
  readonly namespace: string | undefined
  /** Absent for a create. */
  readonly name: string | undefined
}

/** What a client sent, read, put in its place and defaulted. Throws BadRequest or Invalid that names each field. */
export function readBody(
  target: Target,
  body: unknown,
  fieldValidation: FieldValidation = 'Warn',
): { readonly object: ApiObject; readonly warnings: readonly string[] } {
  const { object, warnings, errors } = decodeObject(target.kind, body, { fieldValidation })
  const here = placed(object, target)
  if (errors.length > 0) throw invalidObject(target.kind, here.metadata.name ?? here.metadata.generateName ?? '', errors)
  return { object: withDefaults(target.kind, here), warnings }
}

export function refuseWrong(kind: KindDef, object: ApiObject, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidObject(kind, object.metadata.name ?? '', errors)
}

/** Conflict when the writer has not seen the newest state, or means another object of the same name. */
export function checkVersion(kind: KindDef, given: ApiObject, current: ApiObject): void {
  const { uid, resourceVersion } = given.metadata
  const name = current.metadata.name ?? ''
  if (uid !== undefined && uid !== '' && uid !== current.metadata.uid) {
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`)
  }
  if (resourceVersion === undefined || resourceVersion === '') return
  const asked = revisionOf(resourceVersion)
  if (asked !== 0 && String(asked) !== current.metadata.resourceVersion) throw staleVersion(kind, name)
}

const serverOwned = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'generateName',
  'resourceVersion',
] as const

/** Metadata of an update: what the server owns stays as it is. */
function keptMeta(next: ApiObject, current: ApiObject): ApiObject {
  const kept = Object.fromEntries(
    serverOwned.flatMap((key) => (current.metadata[key] === undefined ? [] : [[key, current.metadata[key]]])),
  )
  return withMeta(withoutMeta(next, ...serverOwned), kept)
}

function newFinalizers(next: ApiObject, current: ApiObject): readonly FieldError[] {
  if (current.metadata.deletionTimestamp === undefined) return []
  const had = current.metadata.finalizers ?? []
  const added = (next.metadata.finalizers ?? []).filter((one) => !had.includes(one))
  if (added.length === 0) return []
  return [
    forbiddenField(
      'metadata.finalizers',
      `no new finalizers can be added if the object is being deleted, found new finalizers ${added.join(', ')}`,
    ),
  ]
}

/** What an update through the main resource stores. */
export function updated(kind: KindDef, given: ApiObject, current: ApiObject): ApiObject {
  const { strategy } = kind
  checkVersion(kind, given, current)
  const kept = keptMeta(given, current)
  const split = hasStatus(kind) ? copyField(kept, current, 'status') : kept
  const next = strategy.prepareForUpdate?.(split, current) ?? split
  refuseWrong(kind, next, [
    ...newFinalizers(next, current),
    ...(strategy.validate?.(next) ?? []),
    ...(strategy.validateUpdate?.(next, current) ?? []),
  ])
  return hasGeneration(kind) && !dequal(desired(next), desired(current)) ? withGeneration(next, current) : next
}

/** What an update through `status` stores: nothing but the status changes. */
export function statusUpdated(kind: KindDef, given: ApiObject, current: ApiObject): ApiObject {
  checkVersion(kind, given, current)
  const next = copyField(current, given, 'status')
  refuseWrong(kind, next, kind.strategy.validateStatusUpdate?.(next, current) ?? [])
  return next
}

function copyField(to: ApiObject, from: ApiObject, field: string): ApiObject {
  const { [field]: _, ...rest } = fieldsOf(to)
  const value = fieldsOf(from)[field]
  // Still the object it was, in one field another.
  return { ...rest, ...(value === undefined ? {} : { [field]: value }) } as unknown as ApiObject
}

/** Everything that people ask for: neither metadata nor status. */
function desired(object: ApiObject): Body {
  const { metadata: _, status: __, ...rest } = fieldsOf(object)
  return rest
}

export const withGeneration = (next: ApiObject, current: ApiObject): ApiObject =>
  withMeta(next, { generation: (current.metadata.generation ?? 0) + 1 })

/** Whether an update would change nothing: then nothing is written, and no watcher woken. */
export const isSame = (next: ApiObject, current: ApiObject): boolean =>
  dequal(withoutMeta(next, 'resourceVersion'), withoutMeta(current, 'resourceVersion'))
