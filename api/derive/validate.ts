import type { ErrorObject } from 'ajv'
import type { KindDef } from '../kinds/define.ts'
import type { ApiObject } from '../meta/object-meta.ts'
import type { FieldValidation } from '../meta/request.ts'
import {
  badRequest,
  type FieldError,
  invalid,
  notSupported,
  required,
  type StatusCause,
  type StatusError,
} from '../meta/status.ts'
import { applyDefaults } from './defaults.ts'
import { type Findings, fieldPath, prune } from './prune.ts'
import { isPlainObject, schemaNode } from './schema-node.ts'
import { validatorOf } from './validator.ts'

export interface Decoded<O extends ApiObject = ApiObject> {
  /** Without unknown fields and nulls; not defaulted yet. Of the kind's shape if there are no errors. */
  readonly object: O
  readonly warnings: readonly string[]
  /** What is wrong though it can be read: missing fields, values out of range, what Skiff refuses. */
  readonly errors: readonly FieldError[]
}

export interface DecodeOptions {
  /** Kubernetes' default is Warn. */
  readonly fieldValidation?: FieldValidation
}

/**
 * Reads what a client sent as an object of a kind. Throws BadRequest when it can't be read as one: a wrong type, another
 * kind, or (under Strict) an unknown field; each is named by its path.
 */
export function decodeObject<O extends ApiObject>(
  kind: KindDef<O>,
  input: unknown,
  { fieldValidation = 'Warn' }: DecodeOptions = {},
): Decoded<O> {
  if (!isPlainObject(input)) throw badRequest(`the body is ${described(input)}, expected an object of kind ${kind.kind}`)
  checkKind(kind, input)
  const findings: Findings = { unknown: [], ignored: [], refused: [], tooDeep: undefined }
  const pruned = prune(schemaNode(kind.schema), input, findings) as ApiObject
  if (findings.tooDeep !== undefined) throw cannotRead(kind, [{ field: findings.tooDeep, message: 'nested too deep' }])
  const strange = findings.unknown.map((path) => `unknown field "${path}"`)
  if (fieldValidation === 'Strict' && strange.length > 0) throw strictError(kind, strange)
  const object = { ...pruned, apiVersion: kind.apiVersion, kind: kind.kind, metadata: pruned.metadata ?? {} }
  const validate = validatorOf(kind)
  const wrong = validate(object) ? [] : (validate.errors ?? [])
  const typeErrors = wrong.filter(({ keyword }) => keyword === 'type')
  if (typeErrors.length > 0) throw cannotRead(kind, typeErrors.map(typeCause))
  const warnings = [
    ...(fieldValidation === 'Warn' ? strange : []),
    ...findings.ignored.map((path) => `${path}: has no effect in Skiff`),
  ]
  // The schema has just said so, or `errors` says why not.
  return {
    object: object as unknown as O,
    warnings: warnings.slice(0, causeLimit),
    errors: [...findings.refused, ...wrong.slice(0, causeLimit).map(fieldError)],
  }
}

/** Defaults of schema and strategy, as every stored object has them. */
export function withDefaults<O extends ApiObject>(kind: KindDef<O>, object: O): O {
  const filled = applyDefaults(schemaNode(kind.schema), object)
  return kind.strategy.default?.(filled) ?? filled
}

function checkKind(kind: KindDef, { apiVersion, kind: name }: Readonly<Record<string, unknown>>): void {
  const isThis = (given: unknown, wanted: string): boolean => given === undefined || given === '' || given === wanted
  if (!isThis(apiVersion, kind.apiVersion) || !isThis(name, kind.kind))
    throw badRequest(
      `the object is a ${named(apiVersion)} ${named(name)}, which cannot be handled as a ${kind.apiVersion} ${kind.kind}`,
    )
}

/** Of what a client sent in the place of a text nothing is known, not even whether it can be made one. */
const named = (given: unknown): string => (typeof given === 'string' ? given.slice(0, 100) : described(given))

const cannotBe = (kind: KindDef): string => `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}`

function strictError(kind: KindDef, strange: readonly string[]): StatusError {
  return badRequest(`${cannotBe(kind)}: strict decoding error: ${shortened(strange).join(', ')}`)
}

/** Messages and headers stay readable, whatever the document. */
const causeLimit = 50
const shortened = (lines: readonly string[]): readonly string[] =>
  lines.length <= causeLimit ? lines : [...lines.slice(0, causeLimit), `and ${lines.length - causeLimit} more`]

function cannotRead(kind: KindDef, causes: readonly StatusCause[]): StatusError {
  const lines = causes.map(({ field, message }) => `${field}: ${message}`)
  return badRequest(
    `${cannotBe(kind)}: ${shortened(lines).join(', ')}`,
    causes.slice(0, causeLimit).map((cause) => ({ reason: 'FieldValueTypeInvalid', ...cause })),
  )
}

function pathOf({ instancePath }: ErrorObject): string {
  const steps = instancePath
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  return steps.reduce((path, step) => fieldPath(path, /^\d+$/.test(step) ? Number(step) : step), '')
}

function typeCause(error: ErrorObject): StatusCause {
  const expected = [error.params['type'] as string | readonly string[]].flat().filter((type) => type !== 'null')
  return { field: pathOf(error), message: `expected ${expected.join(' or ')}, got ${described(error.data)}` }
}

function described(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (isPlainObject(value)) return 'an object'
  return typeof value === 'string' ? `string "${value.slice(0, 100)}"` : `${typeof value} ${String(value)}`
}

function fieldError(error: ErrorObject): FieldError {
  const path = pathOf(error)
  const { params, data } = error
  switch (error.keyword) {
    case 'required':
      return required(fieldPath(path, String(params['missingProperty'])))
    case 'enum':
      return notSupported(
        path,
        data,
        (params['allowedValues'] as readonly unknown[]).map(String).filter((value) => value !== ''),
      )
    case 'minimum':
      return invalid(path, data, `must be greater than or equal to ${params['limit']}`)
    case 'maximum':
      return invalid(path, data, `must be less than or equal to ${params['limit']}`)
    case 'format':
      return invalid(path, data, params['format'] === 'byte' ? 'must be base64' : `must be a ${params['format']}`)
    case 'x-kubernetes-quantity':
      return invalid(path, data, 'must be a quantity such as 500m or 64Mi')
    default:
      return invalid(path, data, error.message ?? 'is not valid')
  }
}
