import type { KindDef } from '../kinds/define.ts'
import type { ApiList, ApiObject } from './object-meta.ts'
import type { Status } from './status.ts'

/** Who asks. Groups as in Kubernetes: `system:masters` may do everything, `system:nodes` only what concerns the own node. */
export interface Identity {
  readonly user: string
  readonly groups: readonly string[]
}

export const adminIdentity: Identity = { user: 'skiff-admin', groups: ['system:masters', 'system:authenticated'] }
/** Controllers, scheduler and gateway. */
export const controlPlaneIdentity: Identity = {
  user: 'system:skiff-controlplane',
  groups: ['system:masters', 'system:authenticated'],
}
export const nodeIdentity = (node: string): Identity => ({
  user: `system:node:${node}`,
  groups: ['system:nodes', 'system:authenticated'],
})

export type Verb = 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'
export type PatchType = 'json' | 'merge' | 'strategic'
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore'

export interface Selectors {
  /** In the query grammar, as in `app=web,tier in (a,b)`. */
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan'
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
}

/** Options of the query and of DeleteOptions, parsed. */
export interface RequestOptions extends Selectors, DeleteOptions {
  readonly dryRun?: boolean
  readonly fieldValidation?: FieldValidation
  readonly fieldManager?: string
  readonly limit?: number
  readonly continue?: string
  /** Get and list: not older than this; `0`: whatever is there. Watch: what comes after it. */
  readonly resourceVersion?: string
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan'
}

/** One call to the API, free of HTTP. Registry and transports speak in these. */
export interface ApiRequest {
  readonly verb: Verb
  readonly kind: KindDef
  /** Absent: a cluster-scoped kind, or a list across all namespaces. */
  readonly namespace?: string
  readonly name?: string
  /** `status`, `scale`, `binding`, `finalize`. Logs and exec are streams (`streams.ts`). */
  readonly subresource?: string
  readonly options?: RequestOptions
  /** The parsed object, or the patch. */
  readonly body?: unknown
  readonly patchType?: PatchType
}

export interface ApiResponse {
  readonly code: number
  readonly body: ApiObject | ApiList | Status
  /** Shown to the user (HTTP: Warning headers). */
  readonly warnings: readonly string[]
}

export interface WatchRequest extends Selectors {
  readonly kind: KindDef
  readonly namespace?: string
  readonly name?: string
  /** What comes after this revision. Absent or `0`: first ADDED for everything that is there. */
  readonly resourceVersion?: string
}

export interface WatchEvent<O extends ApiObject = ApiObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** For DELETED the last state, with the revision of the deletion. */
  readonly object: O
}

/** Events in order. `revision`: everything up to it has been given (HTTP: a bookmark); events may be empty. */
export interface WatchBatch<O extends ApiObject = ApiObject> {
  readonly events: readonly WatchEvent<O>[]
  readonly revision: number
}

/**
 * The seam between whoever uses the API and whoever serves it: in-process it is the registry itself and hands out the
 * watch cache's own frozen objects, over HTTPS it is `client/https-transport.ts`. Failures are StatusErrors.
 */
export interface Transport {
  request(request: ApiRequest, opts: { readonly signal: AbortSignal }): Promise<ApiResponse>
  /** Ends when aborted; throws Expired when the revision is gone or the reader fell behind: list again. */
  watch(request: WatchRequest, opts: { readonly signal: AbortSignal }): AsyncIterable<WatchBatch>
}
