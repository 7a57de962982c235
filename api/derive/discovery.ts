import type { KindDef } from '../kinds/define.ts'

/**
 * What clients learn the API by. Two forms: one document per group and version (`/api/v1`, `/apis/apps/v1`, found by
 * `/api` and `/apis`), and the aggregated form, with everything in the answers to `/api` and `/apis`.
 */
export type DiscoveryVersion = 'v2' | 'v2beta1'

type Json = Readonly<Record<string, unknown>>

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

/** A part of an object with an address of its own. */
interface Subresource {
  readonly name: string
  readonly verbs: readonly string[]
  readonly group: string
  readonly version: string
  readonly kind: string
}

const writable = ['get', 'patch', 'update']

function subresourcesOf(kind: KindDef): readonly Subresource[] {
  const { group, version } = kind
  return kind.subresources.map((name) => {
    const own = { name, group, version, kind: kind.kind }
    switch (name) {
      case 'scale':
        return { name, verbs: writable, group: 'autoscaling', version: 'v1', kind: 'Scale' }
      case 'binding':
        return { name, verbs: ['create'], group: '', version: 'v1', kind: 'Binding' }
      case 'finalize':
        return { ...own, verbs: ['update'] }
      case 'log':
        return { ...own, verbs: ['get'] }
      case 'exec':
        return { name, verbs: ['create', 'get'], group: '', version: 'v1', kind: 'PodExecOptions' }
      default:
        return { ...own, verbs: writable }
    }
  })
}

/** `/api` */
export function apiVersions(serverAddress: string): Json {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  }
}

/** `/apis` */
export function apiGroupList(kinds: readonly KindDef[]): Json {
  const groups = namesOfGroups(kinds).map((group) => apiGroupBody(kinds, group))
  return { kind: 'APIGroupList', apiVersion: 'v1', groups }
}

/** `/apis/apps`; undefined when there is no such group. */
export function apiGroup(kinds: readonly KindDef[], group: string): Json | undefined {
  return namesOfGroups(kinds).includes(group) ? { kind: 'APIGroup', apiVersion: 'v1', ...apiGroupBody(kinds, group) } : undefined
}

function apiGroupBody(kinds: readonly KindDef[], group: string): Json {
  const versions = versionsOf(kinds, group).map((version) => ({ groupVersion: `${group}/${version}`, version }))
  return { name: group, versions, preferredVersion: versions[0] }
}

/** `/api/v1`, `/apis/apps/v1`; undefined when there is no such group or version. */
export function apiResourceList(kinds: readonly KindDef[], group: string, version: string): Json | undefined {
  const members = membersOf(kinds, group, version)
  if (members.length === 0) return undefined
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: members.flatMap((kind) => [resource(kind), ...subresourcesOf(kind).map((part) => partResource(kind, part))]),
  }
}

function resource(kind: KindDef): Json {
  return {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.scope === 'Namespaced',
    kind: kind.kind,
    verbs,
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
  }
}

function partResource(of: KindDef, { name, verbs: allowed, group, version, kind }: Subresource): Json {
  const isForeign = group !== of.group || version !== of.version
  return {
    name: `${of.plural}/${name}`,
    singularName: '',
    namespaced: of.scope === 'Namespaced',
    ...(isForeign ? { group, version } : {}),
    kind,
    verbs: allowed,
  }
}

/** The media type of the aggregated form: what a client asks for with `Accept`, and what the answer is to be called. */
export const aggregatedMediaType = (version: DiscoveryVersion): string =>
  `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`

/** Everything in `/api` (`core`) or in `/apis` (`groups`), in one answer. */
export function aggregatedDiscovery(kinds: readonly KindDef[], part: 'core' | 'groups', version: DiscoveryVersion): Json {
  const groups = part === 'core' ? [''] : namesOfGroups(kinds)
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: group === '' ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
      versions: versionsOf(kinds, group).map((one) => ({
        version: one,
        freshness: 'Current',
        resources: membersOf(kinds, group, one).map(aggregatedResource),
      })),
    })),
  }
}

function aggregatedResource(kind: KindDef): Json {
  const { group, version } = kind
  const parts = subresourcesOf(kind).map((part) => ({
    subresource: part.name,
    responseKind: { group: part.group, version: part.version, kind: part.kind },
    verbs: part.verbs,
  }))
  return {
    resource: kind.plural,
    responseKind: { group, version, kind: kind.kind },
    scope: kind.scope,
    singularResource: kind.singular,
    verbs,
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    ...(parts.length === 0 ? {} : { subresources: parts }),
  }
}

const distinct = (texts: readonly string[]): readonly string[] => [...new Set(texts)]

/** Without the core group, which has no name. */
const namesOfGroups = (kinds: readonly KindDef[]): readonly string[] =>
  distinct(kinds.map(({ group }) => group).filter((group) => group !== '')).toSorted()

/** The first is the one that clients should use. */
const versionsOf = (kinds: readonly KindDef[], group: string): readonly string[] =>
  distinct(kinds.filter((kind) => kind.group === group).map(({ version }) => version))

/** By name, as Kubernetes lists them: `kubectl get all` prints in this order. */
const membersOf = (kinds: readonly KindDef[], group: string, version: string): readonly KindDef[] =>
  kinds.filter((kind) => kind.group === group && kind.version === version).toSorted((a, b) => (a.plural < b.plural ? -1 : 1))
