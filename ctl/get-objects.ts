import type { KindDef } from '../api/kinds/define.ts'
import type { ApiObject } from '../api/meta/object-meta.ts'
import type { Client } from '../client/client.ts'
import { place, type Target } from './resources.ts'

export interface Query {
  readonly client: Client
  readonly signal: AbortSignal
  /** undefined: all namespaces. */
  readonly namespace: string | undefined
  readonly labelSelector: string | undefined
  readonly fieldSelector: string | undefined
}

const pageSize = 500

export interface Listed {
  readonly items: readonly ApiObject[]
  readonly resourceVersion: string
}

/** All objects of a kind, page by page. */
export async function listAll(
  kind: KindDef,
  { client, signal, namespace, labelSelector, fieldSelector }: Query,
): Promise<Listed> {
  const items: ApiObject[] = []
  let next: string | undefined
  for (;;) {
    const page = await client.list(kind, {
      signal,
      limit: pageSize,
      ...(kind.scope === 'Namespaced' && namespace !== undefined ? { namespace } : {}),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(next === undefined ? {} : { continue: next }),
    })
    items.push(...page.items)
    next = page.metadata.continue
    if (next === undefined || next === '') return { items, resourceVersion: page.metadata.resourceVersion }
  }
}

/** The one object a target names, or all of its kind. */
export async function getTarget(target: Target, query: Query): Promise<readonly ApiObject[]> {
  if (target.name === undefined) return (await listAll(target.kind, query)).items
  const ref = { ...place(target.kind, query.namespace ?? 'default'), name: target.name }
  return [await query.client.get(target.kind, ref, { signal: query.signal })]
}
