export interface StatusCause {
  readonly reason?: string
  readonly message?: string
  /** The field's path, as in `spec.containers[0].image`. */
  readonly field?: string
}

/** metav1.Status: how every error reaches a client. */
export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: Readonly<Record<string, unknown>>
  readonly status: 'Success' | 'Failure'
  readonly message?: string
  readonly reason?: string
  readonly code: number
  readonly details?: {
    readonly name?: string
    readonly group?: string
    readonly kind?: string
    readonly uid?: string
    readonly causes?: readonly StatusCause[]
    readonly retryAfterSeconds?: number
  }
}

/** What a message needs to know of a kind. */
export interface ResourceName {
  readonly group: string
  readonly plural: string
  readonly kind: string
}

/** The one error of the API: it is the Status on the wire. Make it with a constructor below, ask with a predicate. */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly status: Status
  constructor(status: Status, options?: ErrorOptions) {
    super(status.message, options)
    this.status = status
  }
}

function failure(code: number, reason: string, message: string, details?: Status['details']): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
    ...(details === undefined ? {} : { details }),
  })
}

/** `pods`, `deployments.apps`: how messages name a resource. */
export const qualified = (of: ResourceName): string => (of.group === '' ? of.plural : `${of.plural}.${of.group}`)

const about = (of: ResourceName, name: string): Status['details'] => ({
  name,
  ...(of.group === '' ? {} : { group: of.group }),
  kind: of.plural,
})

export const notFound = (of: ResourceName, name: string): StatusError =>
  failure(404, 'NotFound', `${qualified(of)} "${name}" not found`, about(of, name))
export const alreadyExists = (of: ResourceName, name: string): StatusError =>
  failure(409, 'AlreadyExists', `${qualified(of)} "${name}" already exists`, about(of, name))
export const conflict = (of: ResourceName, name: string, why: string): StatusError =>
  failure(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(of)} "${name}": ${why}`, about(of, name))
export const staleVersion = (of: ResourceName, name: string): StatusError =>
  conflict(of, name, 'the object has been modified; please apply your changes to the latest version and try again')
export const forbidden = (of: ResourceName, name: string, why: string): StatusError =>
  failure(403, 'Forbidden', `${qualified(of)}${name === '' ? '' : ` "${name}"`} is forbidden: ${why}`, about(of, name))
export const unauthorized = (message = 'Unauthorized'): StatusError => failure(401, 'Unauthorized', message)
export const badRequest = (message: string, causes?: readonly StatusCause[]): StatusError =>
  failure(400, 'BadRequest', message, causes === undefined ? undefined : { causes })
export const methodNotAllowed = (message: string): StatusError => failure(405, 'MethodNotAllowed', message)
export const notAcceptable = (message: string): StatusError => failure(406, 'NotAcceptable', message)
export const unsupportedMediaType = (message: string): StatusError => failure(415, 'UnsupportedMediaType', message)
export const tooLarge = (message: string): StatusError => failure(413, 'RequestEntityTooLarge', message)
/** 410: the revision asked for is gone; list again. */
export const expired = (message: string): StatusError => failure(410, 'Expired', message)
export const tooManyRequests = (message: string, retryAfterSeconds = 1): StatusError =>
  failure(429, 'TooManyRequests', message, { retryAfterSeconds })
export const internalError = (message: string): StatusError =>
  failure(500, 'InternalError', `Internal error occurred: ${message}`)
export const unavailable = (message: string, retryAfterSeconds = 1): StatusError =>
  failure(503, 'ServiceUnavailable', message, { retryAfterSeconds })
export const timeout = (message: string): StatusError => failure(504, 'Timeout', message)
/** A path that no route serves. */
export const noSuchPath = (): StatusError => failure(404, 'NotFound', 'the server could not find the requested resource', {})

/** 422: a patch that does not fit the object. */
export const invalidPatch = (message: string): StatusError => failure(422, 'Invalid', message)

/** One wrong field (Kubernetes: field.Error). */
export interface FieldError {
  readonly field: string
  readonly type:
    | 'FieldValueInvalid'
    | 'FieldValueRequired'
    | 'FieldValueDuplicate'
    | 'FieldValueForbidden'
    | 'FieldValueNotSupported'
    | 'FieldValueTooLong'
    | 'FieldValueTypeInvalid'
    | 'FieldValueNotFound'
  readonly detail: string
  readonly value?: unknown
}

const prefixes: Readonly<Record<FieldError['type'], string>> = {
  FieldValueInvalid: 'Invalid value',
  FieldValueRequired: 'Required value',
  FieldValueDuplicate: 'Duplicate value',
  FieldValueForbidden: 'Forbidden',
  FieldValueNotSupported: 'Unsupported value',
  FieldValueTooLong: 'Too long',
  FieldValueTypeInvalid: 'Invalid value',
  FieldValueNotFound: 'Not found',
}

export function fieldErrorMessage(error: FieldError): string {
  const value = 'value' in error && error.value !== undefined ? `: ${JSON.stringify(error.value)?.slice(0, 200)}` : ''
  return `${prefixes[error.type]}${value}${error.detail === '' ? '' : `: ${error.detail}`}`
}

export const required = (field: string, detail = ''): FieldError => ({ field, type: 'FieldValueRequired', detail })
export const invalid = (field: string, value: unknown, detail: string): FieldError => ({
  field,
  type: 'FieldValueInvalid',
  value,
  detail,
})
export const duplicate = (field: string, value: unknown): FieldError => ({
  field,
  type: 'FieldValueDuplicate',
  value,
  detail: '',
})
export const forbiddenField = (field: string, detail: string): FieldError => ({ field, type: 'FieldValueForbidden', detail })
export const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldError => ({
  field,
  type: 'FieldValueNotSupported',
  value,
  detail: `supported values: ${supported.map((one) => `"${one}"`).join(', ')}`,
})

/** 422 that names each wrong field by its path. */
export function invalidObject(of: ResourceName, name: string, errors: readonly FieldError[]): StatusError {
  const causes = errors.map((error) => ({ reason: error.type, message: fieldErrorMessage(error), field: error.field }))
  const lines = causes.map((cause) => `${cause.field}: ${cause.message}`)
  const kind = of.group === '' ? of.kind : `${of.kind}.${of.group}`
  const body = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`
  return failure(422, 'Invalid', `${kind} "${name}" is invalid: ${body}`, {
    name,
    ...(of.group === '' ? {} : { group: of.group }),
    kind: of.kind,
    causes,
  })
}

const hasReason = (err: unknown, reason: string): boolean => err instanceof StatusError && err.status.reason === reason
export const isNotFound = (err: unknown): boolean => hasReason(err, 'NotFound')
export const isAlreadyExists = (err: unknown): boolean => hasReason(err, 'AlreadyExists')
export const isConflict = (err: unknown): boolean => hasReason(err, 'Conflict')
export const isInvalid = (err: unknown): boolean => hasReason(err, 'Invalid')
export const isForbidden = (err: unknown): boolean => hasReason(err, 'Forbidden')
export const isExpired = (err: unknown): boolean => hasReason(err, 'Expired')
export const isUnavailable = (err: unknown): boolean => hasReason(err, 'ServiceUnavailable') || hasReason(err, 'Timeout')
