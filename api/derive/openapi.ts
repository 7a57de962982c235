import type { KindDef } from '../kinds/define.ts'
import { pathsOf } from './openapi-paths.ts'
import { componentsOf } from './openapi-schema.ts'
import { groupVersionPath } from './paths.ts'
import { bodySchema } from './protobuf-bodies.ts'
import type { SchemaNode } from './schema-node.ts'

/** `/openapi/v3`: what `kubectl explain` prints from, and how kubectl learns that the server checks fields itself. */
export interface OpenApi {
  /** The answer to `/openapi/v3`: where each document is. The URL changes with the document, so it may be cached for long. */
  readonly index: { readonly paths: Readonly<Record<string, { readonly serverRelativeURL: string }>> }
  /** The text of a document, by what follows `/openapi/v3/`, as in `apis/apps/v1`. */
  document(path: string): string | undefined
}

/** Documents are made at the first question; kinds never change while a process runs. */
export function createOpenApi(kinds: readonly KindDef[], version: string): OpenApi {
  const groups = Map.groupBy(kinds, (kind) => groupVersionPath(kind).slice(1))
  const documents = new Map<string, string>()
  const document = (path: string): string | undefined => {
    const members = groups.get(path)
    if (members === undefined) return undefined
    const text = documents.get(path) ?? JSON.stringify(openApiDocument(members, version))
    documents.set(path, text)
    return text
  }
  return {
    get index() {
      const paths = [...groups.keys()].sort()
      const entries = paths.map((path) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash(document(path) ?? '')}` }])
      return { paths: Object.fromEntries(entries) }
    },
    document,
  }
}

/** The document of the kinds of one group and version. */
export function openApiDocument(kinds: readonly KindDef[], version: string) {
  return {
    openapi: '3.0.0',
    info: { title: 'Skiff', version },
    paths: Object.assign({}, ...kinds.map(pathsOf)),
    components: { schemas: componentsOf(kinds, bodiesOf(kinds)) },
  }
}

function bodiesOf(kinds: readonly KindDef[]): readonly SchemaNode[] {
  const parts = new Set(kinds.flatMap(({ subresources }) => subresources))
  return [
    parts.has('scale') ? bodySchema('autoscaling/v1', 'Scale') : undefined,
    parts.has('binding') ? bodySchema('v1', 'Binding') : undefined,
  ].filter((schema) => schema !== undefined)
}

/** FNV-1a: tells documents apart, nothing more. */
function hash(text: string): string {
  let value = 0xcbf29ce484222325n
  for (let index = 0; index < text.length; index++) {
    value = BigInt.asUintN(64, (value ^ BigInt(text.charCodeAt(index))) * 0x100000001b3n)
  }
  return value.toString(16).padStart(16, '0')
}
