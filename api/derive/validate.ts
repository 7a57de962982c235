import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { KindDef } from '../kinds/define.ts'
import type { ApiObject } from '../meta/object-meta.ts'
import { isQuantity } from '../meta/quantity.ts'
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

const ajv = new Ajv({
  allErrors: true,
  strict: false,
  // Messages quote the value.
  verbose: true,
  formats: {
    int32: true,
    int64: true,
    byte: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
    'date-time': /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/,
  },
})
ajv.addKeyword({
  keyword: 'x-kubernetes-quantity',
  validate: (isOn: boolean, value: unknown) =>
    !isOn || (typeof value !== 'string' && typeof value !== 'number') || isQuantity(value),
})

/** Compiled on first use: a large kind takes some 100 ms. */
const validators = new Map<KindDef, ValidateFunction>()

function validatorOf(kind: KindDef): ValidateFunction {
  const known = validators.get(kind)
  if (known !== undefined) return known
  const made = ajv.compile(kind.schema)
  validators.set(kind, made)
  return made
}

export interface Decoded {
  /** Without unknown fields and nulls; not defaulted yet. */
  readonly object: ApiObject
  readonly warnings: readonly string[]
  /** What is wrong though it can be read: missing fields, values out of range, what Skiff refuses. */
  readonly errors: readonly FieldError[]
}

/**
 * Reads what a client sent as an object of a kind. Throws BadRequest when it can't be read as one: a wrong type, another
 * kind, or (under Strict) an unknown field; each is named by its path.
 */
export function decodeObject(
  kind: KindDef,
  input: unknown,
  { fieldValidation = 'Strict' }: { readonly fieldValidation?: FieldValidation },
): Decoded {
  if (!isPlainObject(input)) throw badRequest(`the body is no object, expected a ${kind.kind}`)
  checkKind(kind, input)
  const findings: Findings = { unknown: [], ignored: [], refused: [], tooDeep: undefined }
  const pruned = prune(schemaNode(kind.schema), input, '', findings) as ApiObject
  if (findings.tooDeep !== undefined) throw cannotRead(kind, [{ field: findings.tooDeep, message: 'nested too deep' }])
  if (fieldValidation === 'Strict' && findings.unknown.length > 0) throw unknownFields(kind, findings.unknown)
  const object = { ...pruned, apiVersion: kind.apiVersion, kind: kind.kind, metadata: pruned.metadata ?? {} }
  const validate = validatorOf(kind)
  const problems = validate(object) ? [] : (validate.errors ?? [])
  const typeErrors = problems.filter(({ keyword }) => keyword === 'type')
  if (typeErrors.length > 0) throw cannotRead(kind, typeErrors.map(typeCause))
  const warnings = [
    ...(fieldValidation === 'Warn' ? findings.unknown.map((path) => `unknown field "${path}"`) : []),
    ...findings.ignored.map((path) => `${path}: has no effect in Skiff`),
  ]
  return { object, warnings, errors: [...findings.refused, ...problems.map(fieldError)] }
}

/** Defaults of schema and strategy, as every stored object has them. */
export function withDefaults(kind: KindDef, object: ApiObject): ApiObject {
  const filled = applyDefaults(schemaNode(kind.schema), object)
  return kind.strategy.default?.(filled) ?? filled
}

function checkKind(kind: KindDef, { apiVersion, kind: name }: Readonly<Record<string, unknown>>): void {
  const isThis = (apiVersion === undefined || apiVersion === kind.apiVersion) && (name === undefined || name === kind.kind)
  if (!isThis)
    throw badRequest(
      `the object is a ${String(apiVersion)} ${String(name)}, which cannot be handled as a ${kind.apiVersion} ${kind.kind}`,
    )
}

const cannotBe = (kind: KindDef): string => `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}`

function unknownFields(kind: KindDef, paths: readonly string[]): StatusError {
  const causes = paths
    .slice(0, 20)
    .map((field): StatusCause => ({ reason: 'FieldValueInvalid', field, message: `unknown field "${field}"` }))
  const text = causes.map(({ message }) => message).join(', ')
  return badRequest(`${cannotBe(kind)}: strict decoding error: ${text}`, causes)
}

function cannotRead(kind: KindDef, causes: readonly StatusCause[]): StatusError {
  const text = causes.map(({ field, message }) => `${field}: ${message}`).join(', ')
  return badRequest(
    `${cannotBe(kind)}: ${text}`,
    causes.map((cause) => ({ reason: 'FieldValueTypeInvalid', ...cause })),
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
