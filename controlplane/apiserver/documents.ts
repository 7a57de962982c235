import {
  aggregatedDiscovery,
  aggregatedMediaType,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
} from '../../api/derive/discovery.ts'
import { createOpenApi, type OpenApi } from '../../api/derive/openapi.ts'
import { openApiV2Json, openApiV2Protobuf } from '../../api/derive/openapi-v2.ts'
import type { KindDef } from '../../api/kinds/define.ts'
import { offersOf } from './negotiate.ts'
import type { ApiServerOptions } from './options.ts'

/** The version of Kubernetes' API that is served, as clients read it to know what they may ask. */
export const apiVersion = 'v1.32.0+skiff'

export interface Document {
  readonly body: string
  readonly type: string
  readonly headers: Readonly<Record<string, string>>
}

/** What is served beside objects: health, version, discovery, schemas. */
export interface Documents {
  /** For everybody. */
  open(path: string): { readonly code: number; readonly body: string; readonly type: string } | undefined
  /** For whoever is known. */
  known(path: string, accept: string | undefined): Document | undefined
}

const json = 'application/json'
const forAWeek = { 'cache-control': 'public, immutable, max-age=604800' }

export function createDocuments(
  kinds: readonly KindDef[],
  { notReady = () => undefined }: Pick<ApiServerOptions, 'notReady'>,
): Documents {
  const openApi = createOpenApi(kinds, apiVersion)
  const index = JSON.stringify(openApi.index)
  const version = JSON.stringify({
    major: '1',
    minor: '32',
    gitVersion: apiVersion,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: 'none',
    compiler: 'none',
    platform: `${process.platform}/${process.arch}`,
  })
  return {
    open(path) {
      if (path === '/version') return { code: 200, body: version, type: json }
      if (path === '/livez' || path === '/healthz') return { code: 200, body: 'ok', type: 'text/plain' }
      if (path !== '/readyz') return undefined
      const why = notReady()
      return why === undefined
        ? { code: 200, body: 'ok', type: 'text/plain' }
        : { code: 503, body: `not ready: ${why}`, type: 'text/plain' }
    },
    known(path, accept) {
      if (path === '/openapi/v3') return { body: index, type: json, headers: {} }
      if (path.startsWith('/openapi/v3/')) return schemas(openApi, path)
      if (path === '/openapi/v2') return openApiV2(accept)
      if (path === '/api') return root(kinds, 'core', accept)
      if (path === '/apis') return root(kinds, 'groups', accept)
      return path === '/' ? found({ paths: roots }) : discovery(kinds, path)
    },
  }
}

const roots = ['/api', '/apis', '/healthz', '/livez', '/metrics', '/openapi/v2', '/openapi/v3', '/readyz', '/version']

/** `/api/v1`, `/apis/apps` and `/apis/apps/v1`. */
function discovery(kinds: readonly KindDef[], path: string): Document | undefined {
  const [, start, first = '', second, ...more] = path.split('/')
  if (more.length > 0) return undefined
  if (start === 'api') return second === undefined ? found(apiResourceList(kinds, '', first)) : undefined
  if (start !== 'apis') return undefined
  return found(second === undefined ? apiGroup(kinds, first) : apiResourceList(kinds, first, second))
}

const found = (value: object | undefined): Document | undefined =>
  value === undefined ? undefined : { body: JSON.stringify(value), type: json, headers: {} }

function schemas(openApi: OpenApi, path: string): Document | undefined {
  const body = openApi.document(path.slice('/openapi/v3/'.length))
  return body === undefined ? undefined : { body, type: json, headers: forAWeek }
}

function openApiV2(accept: string | undefined): Document {
  const isProtobuf = offersOf(accept)[0]?.type === openApiV2Protobuf.accepted
  const { type, body } = isProtobuf
    ? { type: openApiV2Protobuf.type, body: openApiV2Protobuf.body(apiVersion) }
    : { type: json, body: openApiV2Json(apiVersion) }
  return { type, body, headers: { vary: 'Accept' } }
}

/** The aggregated form for whoever asks for it first. */
function root(kinds: readonly KindDef[], part: 'core' | 'groups', accept: string | undefined): Document | undefined {
  for (const { as, group, version } of offersOf(accept)) {
    if (as === undefined) break
    if (as !== 'APIGroupDiscoveryList' || group !== 'apidiscovery.k8s.io' || (version !== 'v2' && version !== 'v2beta1')) continue
    return {
      body: JSON.stringify(aggregatedDiscovery(kinds, part, version)),
      type: aggregatedMediaType(version),
      headers: { vary: 'Accept' },
    }
  }
  return found(part === 'core' ? apiVersions('') : apiGroupList(kinds))
}
