import type { KindDef } from '../../api/kinds/define.ts'
import type { Identity, Verb } from '../../api/meta/request.ts'
import { badRequest } from '../../api/meta/status.ts'
import { isObject } from '../../api/patch/json.ts'
import type { Registry } from '../registry/options.ts'

/** What can be asked about oneself: `kubectl auth can-i` and `whoami`. Nothing of it is stored. */
export const reviewPaths: Readonly<Record<string, (registry: Registry, identity: Identity, body: unknown) => unknown>> = {
  '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews': accessReview,
  '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews': rulesReview,
  '/apis/authentication.k8s.io/v1/selfsubjectreviews': (_registry, identity) => ({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
    metadata: {},
    status: { userInfo: { username: identity.user, groups: identity.groups } },
  }),
}

function accessReview(registry: Registry, identity: Identity, body: unknown): unknown {
  const spec = isObject(body) && isObject(body['spec']) ? body['spec'] : undefined
  if (spec === undefined) throw badRequest('spec: Required value: what is asked for')
  const asked = isObject(spec['resourceAttributes']) ? spec['resourceAttributes'] : undefined
  const decision =
    asked === undefined ? { allowed: identity.groups.includes('system:masters') } : decide(registry, identity, asked)
  return { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', metadata: {}, spec, status: decision }
}

function decide(registry: Registry, identity: Identity, asked: Readonly<Record<string, unknown>>): unknown {
  const text = (name: string): string | undefined =>
    typeof asked[name] === 'string' && asked[name] !== '' ? asked[name] : undefined
  const [group, plural, verb] = [text('group') ?? '', text('resource') ?? '', text('verb') ?? '']
  const known = registry.kinds.find((one) => one.plural === plural && one.group === group)
  const kind: Pick<KindDef, 'group' | 'plural' | 'kind'> = known ?? { group, plural, kind: plural }
  const [namespace, name, subresource] = [text('namespace'), text('name'), text('subresource')]
  // A verb that nobody serves is one that only masters may.
  return registry.decide(identity, { verb: verb as Verb, kind, namespace, name, subresource })
}

function rulesReview(_registry: Registry, identity: Identity): unknown {
  const isMaster = identity.groups.includes('system:masters')
  const all = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }
  const paths = isMaster
    ? ['*']
    : ['/healthz', '/livez', '/readyz', '/version', '/api', '/api/*', '/apis', '/apis/*', '/openapi', '/openapi/*']
  const status = {
    resourceRules: isMaster ? [all] : [],
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: paths }],
    incomplete: !isMaster,
  }
  return { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', metadata: {}, spec: {}, status }
}
