import { dequal } from 'dequal'
import { type NameRule, wrongLabelValue, wrongQualifiedName, wrongSubdomain } from '../meta/names.ts'
import type { ApiObject, ObjectMeta } from '../meta/object-meta.ts'
import { type FieldError, forbiddenField, invalid, required } from '../meta/status.ts'
import type { LabelSelector } from './shared.ts'

/** Rules are generators of wrong fields, so that they nest with `yield*`. */
export type Wrong = Generator<FieldError, void>

/** `invalid` when the grammar says that something is wrong; `required` when the text is missing or empty. */
export function* checkName(field: string, text: string | undefined, rule: NameRule): Wrong {
  if (text === undefined || text === '') yield required(field)
  else yield* checkText(field, text, rule)
}

/** Like checkName, for texts that may be left out. */
export function* checkText(field: string, text: string | undefined, rule: NameRule): Wrong {
  const wrong = text === undefined ? undefined : rule(text)
  if (wrong !== undefined) yield invalid(field, text, wrong)
}

export function* checkMin(field: string, value: number | undefined, min: number): Wrong {
  if (value !== undefined && value < min) yield invalid(field, value, `must be greater than or equal to ${min}`)
}

export function* checkRange(field: string, value: number | undefined, min: number, max: number): Wrong {
  if (value !== undefined && (value < min || value > max)) yield invalid(field, value, `must be between ${min} and ${max}`)
}

export function* checkUnchanged(field: string, now: unknown, old: unknown, detail = 'field is immutable'): Wrong {
  if (!dequal(now, old)) yield invalid(field, now, detail)
}

export function* checkLabels(field: string, labels: Readonly<Record<string, string>> | undefined): Wrong {
  for (const [key, value] of Object.entries(labels ?? {})) {
    yield* checkText(field, key, wrongQualifiedName)
    yield* checkText(field, value, wrongLabelValue)
  }
}

const annotationsLimit = 256 * 1024

function* checkAnnotations(field: string, annotations: Readonly<Record<string, string>> | undefined): Wrong {
  let size = 0
  for (const [key, value] of Object.entries(annotations ?? {})) {
    // Keys of annotations may have upper case letters.
    yield* checkText(field, key.toLowerCase(), wrongQualifiedName)
    size += key.length + value.length
  }
  if (size > annotationsLimit) {
    yield { field, type: 'FieldValueTooLong', detail: `may not be more than ${annotationsLimit} bytes together` }
  }
}

function* checkOwners(field: string, meta: ObjectMeta): Wrong {
  for (const [index, owner] of (meta.ownerReferences ?? []).entries()) {
    for (const key of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (owner[key] === '') yield required(`${field}[${index}].${key}`, 'must not be empty')
    }
  }
  const controllers = (meta.ownerReferences ?? []).filter((owner) => owner.controller === true)
  if (controllers.length > 1) {
    yield invalid(
      field,
      controllers.map(({ kind, name }) => `${kind}/${name}`).join(', '),
      'only one owner may be the controller',
    )
  }
}

/** Metadata of an object that the server has given a name. `rule` is the grammar of the kind's names. */
export function* checkMeta({ metadata }: ApiObject, rule: NameRule = wrongSubdomain): Wrong {
  yield* checkName('metadata.name', metadata.name, rule)
  yield* checkLabels('metadata.labels', metadata.labels)
  yield* checkAnnotations('metadata.annotations', metadata.annotations)
  yield* checkOwners('metadata.ownerReferences', metadata)
  for (const finalizer of metadata.finalizers ?? []) {
    yield* checkText('metadata.finalizers', finalizer, wrongQualifiedName)
    const isKnown = ['orphan', 'foregroundDeletion', 'kubernetes'].includes(finalizer)
    if (!isKnown && !finalizer.includes('/')) {
      yield invalid('metadata.finalizers', finalizer, 'must have a domain before a slash, as in example.com/name')
    }
  }
}

/** Metadata of a pod template. */
export function* checkTemplateMeta(field: string, meta: ObjectMeta | undefined): Wrong {
  yield* checkLabels(`${field}.labels`, meta?.labels)
  yield* checkAnnotations(`${field}.annotations`, meta?.annotations)
}

export function* checkSelector(field: string, selector: LabelSelector | undefined): Wrong {
  yield* checkLabels(`${field}.matchLabels`, selector?.matchLabels)
  for (const [index, rule] of (selector?.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${index}]`
    const values = rule.values ?? []
    yield* checkText(`${at}.key`, rule.key, wrongQualifiedName)
    if (rule.operator === 'In' || rule.operator === 'NotIn') {
      if (values.length === 0) yield required(`${at}.values`, 'must be given when `operator` is In or NotIn')
      for (const [at2, value] of values.entries()) yield* checkText(`${at}.values[${at2}]`, value, wrongLabelValue)
    } else if (values.length > 0) {
      yield forbiddenField(`${at}.values`, 'may not be given when `operator` is Exists or DoesNotExist')
    }
  }
}

export const isEmptySelector = (selector: LabelSelector | undefined): boolean =>
  Object.keys(selector?.matchLabels ?? {}).length === 0 && (selector?.matchExpressions ?? []).length === 0

/** For `prepareForCreate` and `prepareForUpdate`: what is known about an object is written through its status only. */
export function withStatus<O extends { readonly status?: unknown }>(object: O, status: O['status']): O {
  const { status: _dropped, ...rest } = object
  // The rest of an O and the status of an O make an O; TypeScript cannot see it through a type parameter.
  return (status === undefined ? rest : { ...rest, status }) as O
}
