import { Namespace } from '../../api/kinds/namespace.ts'
import { Service } from '../../api/kinds/service.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { ApiRequest, ApiResponse, RequestOptions } from '../../api/meta/request.ts'
import { badRequest, type Status } from '../../api/meta/status.ts'
import type { ServiceAllocator } from './allocate.ts'
import type { Change, Extra, Place, Taken } from './commit.ts'
import type { CallOptions, RegistryOptions } from './options.ts'

/** What every verb gets. */
export interface Deps extends RegistryOptions {
  readonly services: ServiceAllocator
}

/** One call, its options at hand. */
export interface Call {
  readonly request: ApiRequest
  readonly options: RequestOptions
  readonly opts: CallOptions & { readonly dryRun: boolean }
}

export function placeOf({ request }: Call): Place {
  const { kind, namespace, name } = request
  if (name === undefined || name === '') throw badRequest(`the request names no ${kind.singular}`)
  return { kind, namespace, name }
}

export const answer = (
  body: ApiResponse['body'],
  { code = 200, warnings = [] }: { code?: number; warnings?: readonly string[] } = {},
): ApiResponse => ({ code, body, warnings })

export function success({ kind, name }: Place, object?: ApiObject): Status {
  const group = kind.group === '' ? {} : { group: kind.group }
  const uid = object?.metadata.uid === undefined ? {} : { uid: object.metadata.uid }
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    code: 200,
    details: { name, ...group, kind: kind.plural, ...uid },
  }
}

/** What a write takes or gives back beside the object: a service's address and ports. */
export function withAllocations(
  deps: Deps,
  place: Place,
  { next, current, taken }: { next: ApiObject | undefined; current: ApiObject | undefined; taken: Taken },
): Change {
  if (place.kind.plural !== Service.plural || place.kind.group !== Service.group) return { object: next }
  return deps.services.plan(next, current, taken)
}

export const isNamespace = ({ plural, group }: { readonly plural: string; readonly group: string }): boolean =>
  plural === Namespace.plural && group === Namespace.group

export const joined = (a: Extra | undefined, b: Extra): Extra => ({
  conditions: [...(a?.conditions ?? []), ...b.conditions],
  writes: [...(a?.writes ?? []), ...b.writes],
})
