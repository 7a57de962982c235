import type { KindDef } from '../api/kinds/define.ts'
import { Pod } from '../api/kinds/pod.ts'
import type { ApiList, ApiObject } from '../api/meta/object-meta.ts'
import type { ApiRequest, RequestOptions, Transport, WatchBatch } from '../api/meta/request.ts'
import { type Status, StatusError } from '../api/meta/status.ts'
import type { AbortOptions } from '../lib/async.ts'
import type { Client, ListOptions, Ref, WriteOptions } from './client.ts'

/** The typed verbs over any transport. Holds nothing of its own. */
export function createClient(transport: Transport): Client {
  const send = async (request: ApiRequest, opts: AbortOptions & Pick<WriteOptions, 'onWarning'>): Promise<unknown> => {
    const { body, warnings } = await transport.request(request, { signal: opts.signal })
    for (const warning of warnings) opts.onWarning?.(warning)
    if (isFailure(body)) throw new StatusError(body)
    return body
  }
  const write = async <O extends ApiObject>(
    kind: KindDef<O>,
    object: O,
    {
      verb,
      opts,
      subresource = opts.subresource,
    }: { verb: 'create' | 'update'; opts: WriteOptions; subresource?: string | undefined },
  ): Promise<O> => {
    const { name, namespace } = object.metadata
    const isNamed = name !== undefined && (verb === 'update' || subresource !== undefined)
    const request: ApiRequest = {
      verb,
      kind: kind as KindDef,
      ...placeOf({ namespace }),
      ...(isNamed ? { name } : {}),
      ...(subresource === undefined ? {} : { subresource }),
      options: writeOptions(opts),
      body: object,
    }
    return (await send(request, opts)) as O
  }
  return {
    transport,
    async get(kind, ref, opts) {
      const { resourceVersion } = opts
      const options = resourceVersion === undefined ? {} : { resourceVersion }
      return (await send({ verb: 'get', kind: kind as KindDef, ...refOf(ref), options }, opts)) as never
    },
    async list<O extends ApiObject>(kind: KindDef<O>, opts: ListOptions): Promise<ApiList<O>> {
      const { signal, namespace, ...options } = opts
      return (await send({ verb: 'list', kind: kind as KindDef, ...placeOf({ namespace }), options }, { signal })) as ApiList<O>
    },
    watch<O extends ApiObject>(kind: KindDef<O>, opts: Parameters<Client['watch']>[1]): AsyncIterable<WatchBatch<O>> {
      const { signal, ...rest } = opts
      return transport.watch({ kind: kind as KindDef, ...rest }, { signal }) as AsyncIterable<WatchBatch<O>>
    },
    create: (kind, object, opts) => write(kind, object, { verb: 'create', opts }),
    update: (kind, object, opts) => write(kind, object, { verb: 'update', opts }),
    updateStatus: (kind, object, opts) => write(kind, object, { verb: 'update', opts, subresource: 'status' }),
    async patch(kind, ref, { type, body }, opts) {
      const request: ApiRequest = {
        verb: 'patch',
        kind: kind as KindDef,
        ...refOf(ref),
        ...(opts.subresource === undefined ? {} : { subresource: opts.subresource }),
        options: writeOptions(opts),
        body,
        patchType: type,
      }
      return (await send(request, opts)) as never
    },
    async delete(kind, ref, opts) {
      const { gracePeriodSeconds, propagationPolicy, preconditions } = opts
      const options: RequestOptions = {
        ...writeOptions(opts),
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
        ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
        ...(preconditions === undefined ? {} : { preconditions }),
      }
      await send({ verb: 'delete', kind: kind as KindDef, ...refOf(ref), options }, opts)
    },
    async bind(pod, node, opts) {
      const { name = '', namespace = '', uid = '' } = pod.metadata
      const binding = {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace, uid },
        target: { apiVersion: 'v1', kind: 'Node', name: node },
      }
      await send(
        { verb: 'create', kind: Pod as unknown as KindDef, namespace, name, subresource: 'binding', body: binding },
        opts,
      )
    },
  }
}

const placeOf = ({ namespace }: { readonly namespace?: string | undefined }): { readonly namespace?: string } =>
  namespace === undefined || namespace === '' ? {} : { namespace }
const refOf = ({ namespace, name }: Ref): { readonly namespace?: string; readonly name: string } => ({
  ...placeOf({ namespace }),
  name,
})

function writeOptions({ dryRun, fieldValidation, fieldManager }: WriteOptions): RequestOptions {
  return {
    ...(dryRun === undefined ? {} : { dryRun }),
    ...(fieldValidation === undefined ? {} : { fieldValidation }),
    ...(fieldManager === undefined ? {} : { fieldManager }),
  }
}

function isFailure(body: ApiObject | ApiList | Status): body is Status {
  return body.kind === 'Status' && 'status' in body && body.status === 'Failure'
}
