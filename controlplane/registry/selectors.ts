import type { KindDef } from '../../api/kinds/define.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import type { Selectors } from '../../api/meta/request.ts'
import { parseFieldSelector, parseLabelSelector } from '../../api/meta/selector.ts'
import { badRequest } from '../../api/meta/status.ts'
import type { Selection } from '../store/watch-cache.ts'

export type Matcher = (object: ApiObject) => boolean

/** The same for a watch: what the readers who ask for the same share. */
export function selectionOf(
  kind: KindDef,
  { labelSelector = '', fieldSelector = '', name }: Selectors & { name?: string | undefined },
): Selection | undefined {
  const matches = matcherOf(kind, { labelSelector, fieldSelector, name })
  if (matches === undefined) return undefined
  const exact =
    name === undefined
      ? parseFieldSelector(fieldSelector).find(({ equal }) => equal)
      : { field: 'metadata.name', value: name, equal: true }
  const id = JSON.stringify([labelSelector, fieldSelector, name ?? null])
  if (exact === undefined) return { id, matches }
  const { field, value } = exact
  return { id, matches, exact: { field, value, read: readerOf(kind, field) } }
}

/** Both selectors and the name as one matcher; undefined when everything matches. Throws BadRequest for wrong ones. */
export function matcherOf(
  kind: KindDef,
  { labelSelector, fieldSelector, name }: Selectors & { name?: string | undefined },
): Matcher | undefined {
  const matchers: Matcher[] = []
  if (name !== undefined) matchers.push((object) => object.metadata.name === name)
  if (labelSelector !== undefined && labelSelector.trim() !== '') {
    const matches = parseLabelSelector(labelSelector)
    matchers.push((object) => matches(object.metadata.labels))
  }
  for (const { field, value, equal } of parseFieldSelector(fieldSelector ?? '')) {
    const read = readerOf(kind, field)
    matchers.push((object) => (read(object) === value) === equal)
  }
  if (matchers.length === 0) return undefined
  return (object) => matchers.every((matches) => matches(object))
}

/** The name that a field selector asks for, if it does: such a list is one look-up. */
export function nameIn({ fieldSelector }: Selectors): string | undefined {
  return parseFieldSelector(fieldSelector ?? '').find((one) => one.field === 'metadata.name' && one.equal)?.value
}

function readerOf(kind: KindDef, field: string): (object: ApiObject) => string {
  if (field === 'metadata.name') return (object) => object.metadata.name ?? ''
  if (field === 'metadata.namespace') return (object) => object.metadata.namespace ?? ''
  const fields = kind.strategy.selectableFields ?? {}
  const read = Object.hasOwn(fields, field) ? fields[field] : undefined
  if (read === undefined) throw badRequest(`field label not supported for ${kind.plural}: ${field}`)
  return read
}
