import type { KindDef } from '../api/kinds/define.ts'
import type { ApiList, ApiObject } from '../api/meta/object-meta.ts'
import type { DeleteOptions, FieldValidation, PatchType, Selectors, Transport, WatchBatch } from '../api/meta/request.ts'
import type { AbortOptions } from '../lib/async.ts'

/** An object's place. `namespace` is absent for cluster-scoped kinds. */
export interface Ref {
  readonly namespace?: string
  readonly name: string
}

export interface WriteOptions extends AbortOptions {
  readonly dryRun?: boolean
  readonly fieldValidation?: FieldValidation
  readonly fieldManager?: string
  readonly subresource?: string
  /** Gets what the server wants the user to know. */
  readonly onWarning?: (warning: string) => void
}

export interface ListOptions extends AbortOptions, Selectors {
  readonly namespace?: string
  readonly limit?: number
  readonly continue?: string
  readonly resourceVersion?: string
}

/** The API's verbs with each kind's own type. Failures are StatusErrors; aborting rejects with the signal's reason. */
export interface Client {
  readonly transport: Transport
  get<O extends ApiObject>(kind: KindDef<O>, ref: Ref, opts: AbortOptions & { readonly resourceVersion?: string }): Promise<O>
  list<O extends ApiObject>(kind: KindDef<O>, opts: ListOptions): Promise<ApiList<O>>
  watch<O extends ApiObject>(
    kind: KindDef<O>,
    opts: AbortOptions & Selectors & { readonly namespace?: string; readonly name?: string; readonly resourceVersion?: string },
  ): AsyncIterable<WatchBatch<O>>
  create<O extends ApiObject>(kind: KindDef<O>, object: O, opts: WriteOptions): Promise<O>
  /** The object's resourceVersion guards it: a Conflict when somebody else wrote since. */
  update<O extends ApiObject>(kind: KindDef<O>, object: O, opts: WriteOptions): Promise<O>
  updateStatus<O extends ApiObject>(kind: KindDef<O>, object: O, opts: WriteOptions): Promise<O>
  patch<O extends ApiObject>(
    kind: KindDef<O>,
    ref: Ref,
    patch: { readonly type: PatchType; readonly body: unknown },
    opts: WriteOptions,
  ): Promise<O>
  delete<O extends ApiObject>(kind: KindDef<O>, ref: Ref, opts: WriteOptions & DeleteOptions): Promise<void>
  /** `pods/binding`: the scheduler's decision. A Conflict when the pod is bound already. */
  bind(pod: ApiObject, node: string, opts: AbortOptions): Promise<void>
}
