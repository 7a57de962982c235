import { isIP, wrongLabel, wrongQualifiedName, wrongSubdomain } from '../../meta/names.ts'
import { forbiddenField, invalid, notSupported, required } from '../../meta/status.ts'
import { checkLabels, checkMin, checkName, checkRange, checkTemplateMeta, checkText, type Wrong } from '../rules.ts'
import { checkAffinity, checkSpread, checkTolerations } from './check-affinity.ts'
import { checkContainers } from './check-container.ts'
import { checkVolumes } from './check-volume.ts'
import type { PodSpec, PodTemplateSpec } from './pod-spec.ts'
import type { PodSecurityContext } from './security.ts'

const int32Max = 2 ** 31 - 1

export function* checkPodSpec(field: string, spec: PodSpec): Wrong {
  yield* checkUnsupported(field, spec)
  yield* checkVolumes(`${field}.volumes`, spec.volumes ?? [])
  yield* checkContainers(field, spec)
  yield* checkMin(`${field}.terminationGracePeriodSeconds`, spec.terminationGracePeriodSeconds, 0)
  yield* checkRange(`${field}.activeDeadlineSeconds`, spec.activeDeadlineSeconds, 1, int32Max)
  yield* checkNames(field, spec)
  yield* checkLabels(`${field}.nodeSelector`, spec.nodeSelector)
  if (spec.affinity !== undefined) yield* checkAffinity(`${field}.affinity`, spec.affinity)
  yield* checkTolerations(`${field}.tolerations`, spec.tolerations ?? [])
  yield* checkSpread(`${field}.topologySpreadConstraints`, spec.topologySpreadConstraints ?? [])
  yield* checkDns(field, spec)
  yield* checkPodSecurity(`${field}.securityContext`, spec)
  for (const [index, gate] of (spec.readinessGates ?? []).entries()) {
    yield* checkText(`${field}.readinessGates[${index}].conditionType`, gate.conditionType, wrongQualifiedName)
  }
}

/** A template's pods are made again and again: they must be meant to run for ever. */
export function* checkPodTemplate(field: string, template: PodTemplateSpec): Wrong {
  yield* checkTemplateMeta(`${field}.metadata`, template.metadata)
  yield* checkPodSpec(`${field}.spec`, template.spec)
  const policy = template.spec.restartPolicy ?? 'Always'
  if (policy !== 'Always') yield notSupported(`${field}.spec.restartPolicy`, policy, ['Always'])
  if (template.spec.activeDeadlineSeconds !== undefined) {
    yield forbiddenField(`${field}.spec.activeDeadlineSeconds`, 'may not be set in a template of pods that are kept running')
  }
}

/** Off is what Skiff does anyway, so that charts that say so apply; on would change what the user relies on. */
function* checkUnsupported(field: string, spec: PodSpec): Wrong {
  const on = {
    hostPID: spec.hostPID === true,
    hostIPC: spec.hostIPC === true,
    setHostnameAsFQDN: spec.setHostnameAsFQDN === true,
    hostUsers: spec.hostUsers === false,
  }
  for (const [key, isOn] of Object.entries(on)) {
    if (isOn) yield forbiddenField(`${field}.${key}`, 'not supported by Skiff yet')
  }
}

function* checkNames(field: string, spec: PodSpec): Wrong {
  const optional = { hostname: wrongLabel, subdomain: wrongLabel, nodeName: wrongSubdomain, serviceAccountName: wrongSubdomain }
  for (const [key, rule] of Object.entries(optional)) {
    const text = spec[key as keyof typeof optional]
    if (text !== undefined && text !== '') yield* checkText(`${field}.${key}`, text, rule)
  }
  if ((spec.priorityClassName ?? '') !== '')
    yield* checkText(`${field}.priorityClassName`, spec.priorityClassName, wrongSubdomain)
  for (const [index, secret] of (spec.imagePullSecrets ?? []).entries()) {
    yield* checkName(`${field}.imagePullSecrets[${index}].name`, secret.name, wrongSubdomain)
  }
  for (const [index, alias] of (spec.hostAliases ?? []).entries()) {
    const at = `${field}.hostAliases[${index}]`
    if (!isIP(alias.ip)) yield invalid(`${at}.ip`, alias.ip, 'must be a valid IP address')
    for (const [n, name] of (alias.hostnames ?? []).entries()) yield* checkText(`${at}.hostnames[${n}]`, name, wrongSubdomain)
  }
}

const dnsLimits = { nameservers: 3, searches: 32, searchChars: 2048 } as const

function* checkDns(field: string, { dnsPolicy, dnsConfig }: PodSpec): Wrong {
  const { nameservers = [], searches = [], options = [] } = dnsConfig ?? {}
  if (dnsPolicy === 'None' && nameservers.length === 0) {
    yield required(`${field}.dnsConfig.nameservers`, 'must have at least one name server when `dnsPolicy` is None')
  }
  yield* checkNameservers(`${field}.dnsConfig.nameservers`, nameservers)
  yield* checkSearches(`${field}.dnsConfig.searches`, searches)
  for (const [index, option] of options.entries()) {
    if ((option.name ?? '') === '') yield required(`${field}.dnsConfig.options[${index}].name`)
  }
}

function* checkNameservers(field: string, ips: readonly string[]): Wrong {
  if (ips.length > dnsLimits.nameservers)
    yield invalid(field, ips, `must not have more than ${dnsLimits.nameservers} name servers`)
  for (const [index, ip] of ips.entries()) {
    if (!isIP(ip)) yield invalid(`${field}[${index}]`, ip, 'must be a valid IP address')
  }
}

function* checkSearches(field: string, domains: readonly string[]): Wrong {
  if (domains.length > dnsLimits.searches) yield invalid(field, domains, `must not have more than ${dnsLimits.searches} domains`)
  if (domains.join(' ').length > dnsLimits.searchChars) {
    yield invalid(field, domains, `must not have more than ${dnsLimits.searchChars} characters together`)
  }
  for (const [index, domain] of domains.entries()) {
    const name = domain.endsWith('.') ? domain.slice(0, -1) : domain
    // Underscores are common in search domains, and resolvers take them.
    if (name !== '') yield* checkText(`${field}[${index}]`, name.replaceAll('_', '-'), wrongSubdomain)
  }
}

const sysctlName = /^[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?(?:[./][a-z0-9](?:[-_a-z0-9]*[a-z0-9])?)*$/

function* checkPodSecurity(field: string, spec: PodSpec): Wrong {
  const context: PodSecurityContext = spec.securityContext ?? {}
  for (const key of ['runAsUser', 'runAsGroup', 'fsGroup'] as const) yield* checkMin(`${field}.${key}`, context[key], 0)
  for (const [index, group] of (context.supplementalGroups ?? []).entries()) {
    yield* checkMin(`${field}.supplementalGroups[${index}]`, group, 0)
  }
  const names = new Set<string>()
  for (const [index, { name }] of (context.sysctls ?? []).entries()) {
    const at = `${field}.sysctls[${index}].name`
    if (name === '') yield required(at)
    else if (!sysctlName.test(name)) yield invalid(at, name, 'is not the name of a kernel parameter, as in net.core.somaxconn')
    else if (names.has(name)) yield { field: at, type: 'FieldValueDuplicate', value: name, detail: '' }
    else if (spec.hostNetwork === true && name.startsWith('net.')) {
      yield invalid(at, name, 'may not be set when `hostNetwork` is true')
    }
    names.add(name)
  }
}
