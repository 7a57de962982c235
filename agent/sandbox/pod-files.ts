import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pod } from '../../api/kinds/pod.ts'
import type { Mount } from '../runtime/runtime.ts'
import { hostnameOf } from './sandbox-spec.ts'

/** The cluster's own name server; pods use the node's while there is none. */
export interface ClusterDns {
  readonly address: string
  readonly domain: string
}

export interface PodFilesOptions {
  readonly clusterDns?: ClusterDns
  /** Where the node's own files lie. */
  readonly etc?: string
  /** Where systemd-resolved writes the servers that it asks itself. */
  readonly resolvedConf?: string
}

/** What resolvers are known to take. */
const maxNameservers = 3
const maxSearches = 32

/**
 * Writes the pod's /etc/hosts, /etc/hostname and /etc/resolv.conf into `folder` and gives their mounts. Asking again
 * changes nothing, unless the pod's address has changed; then files are rewritten in place, for they are mounted. All of it
 * synchronously: a few hundred bytes into the kernel's memory take 0.2 ms, a dozen ways through the pool of threads two.
 */
export function podFiles(pod: Pod, ip: string, folder: string, options: PodFilesOptions = {}): readonly Mount[] {
  const { etc = '/etc', resolvedConf = '/run/systemd/resolve/resolv.conf', clusterDns } = options
  const isHostNetwork = pod.spec.hostNetwork === true
  const hostResolvConf = nodeResolvConf(join(etc, 'resolv.conf'), resolvedConf)
  const hostHosts = isHostNetwork ? readOrEmpty(join(etc, 'hosts')) : undefined
  const files = new Map([
    ['hosts', hostsFile(pod, ip, { clusterDns, hostHosts })],
    ['resolv.conf', resolvConf(pod, hostResolvConf, clusterDns)],
  ])
  if (!isHostNetwork) files.set('hostname', `${hostnameOf(pod)}\n`)
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  for (const [name, text] of files) writeIfChanged(join(folder, name), text)
  return [...files.keys()].map((name) => ({ source: join(folder, name), target: `/etc/${name}`, readOnly: false }))
}

interface HostsOptions {
  readonly clusterDns: ClusterDns | undefined
  /** The node's own file, for pods with its network. */
  readonly hostHosts: string | undefined
}

export function hostsFile(pod: Pod, ip: string, { clusterDns, hostHosts }: HostsOptions): string {
  const name = hostnameOf(pod)
  const { subdomain, hostAliases = [] } = pod.spec
  const domain = clusterDns?.domain ?? 'cluster.local'
  const full =
    subdomain === undefined || subdomain === '' ? [] : [`${name}.${subdomain}.${pod.metadata.namespace ?? ''}.svc.${domain}`]
  const own = [
    '# Written by Skiff.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::\tip6-localnet',
    'ff02::1\tip6-allnodes',
    'ff02::2\tip6-allrouters',
    [ip, ...full, name].join('\t'),
  ]
  const base =
    hostHosts === undefined ? `${own.join('\n')}\n` : `# The node's own, and what Skiff added.\n${withNewline(hostHosts)}`
  const aliases = hostAliases.map((alias) => [alias.ip, ...(alias.hostnames ?? [])].join('\t'))
  return aliases.length === 0 ? base : `${base}\n# Host aliases of the pod.\n${aliases.join('\n')}\n`
}

/** What a resolver file says. */
interface Resolver {
  readonly nameservers: readonly string[]
  readonly searches: readonly string[]
  readonly options: readonly string[]
}

export function resolvConf(pod: Pod, hostText: string, clusterDns: ClusterDns | undefined): string {
  const { dnsConfig } = pod.spec
  const base = policyResolver(pod, parseResolvConf(hostText), clusterDns)
  const own = (dnsConfig?.options ?? []).map(({ name = '', value }) => (value === undefined ? name : `${name}:${value}`))
  const nameOf = (option: string): string => option.split(':')[0] ?? ''
  const merged: Resolver = {
    nameservers: unique([...base.nameservers, ...(dnsConfig?.nameservers ?? [])]).slice(0, maxNameservers),
    searches: unique([...base.searches, ...(dnsConfig?.searches ?? [])]).slice(0, maxSearches),
    options: [...base.options.filter((option) => !own.some((wins) => nameOf(wins) === nameOf(option))), ...own],
  }
  const lines = [
    ...(merged.searches.length > 0 ? [`search ${merged.searches.join(' ')}`] : []),
    ...merged.nameservers.map((server) => `nameserver ${server}`),
    ...(merged.options.length > 0 ? [`options ${merged.options.join(' ')}`] : []),
  ]
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

function policyResolver(pod: Pod, host: Resolver, clusterDns: ClusterDns | undefined): Resolver {
  const { dnsPolicy = 'ClusterFirst', hostNetwork } = pod.spec
  if (dnsPolicy === 'None') return { nameservers: [], searches: [], options: [] }
  // With the node's network, ClusterFirst means the node's resolver; only ClusterFirstWithHostNet insists.
  const isCluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && hostNetwork !== true)
  if (isCluster && clusterDns !== undefined) {
    const { address, domain } = clusterDns
    const searches = [`${pod.metadata.namespace ?? 'default'}.svc.${domain}`, `svc.${domain}`, domain, ...host.searches]
    return { nameservers: [address], searches, options: ['ndots:5'] }
  }
  if (hostNetwork === true) return host
  // In the pod 127.0.0.0/8 is the pod.
  return { ...host, nameservers: host.nameservers.filter((server) => !/^127\.|^::1$/.test(server)) }
}

function parseResolvConf(text: string): Resolver {
  const rows = text.split('\n').map((line) =>
    line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/),
  )
  const valuesOf = (key: string): readonly string[][] => rows.filter(([word]) => word === key).map(([, ...values]) => values)
  return {
    nameservers: valuesOf('nameserver').flatMap(([server]) => (server === undefined ? [] : [server])),
    searches: valuesOf('search').at(-1) ?? [],
    options: valuesOf('options').flat(),
  }
}

/** Where the node asks its own small resolver, the file with that one's servers is what pods can use. */
function nodeResolvConf(path: string, resolvedConf: string): string {
  const text = readOrEmpty(path)
  const { nameservers } = parseResolvConf(text)
  if (!nameservers.includes('127.0.0.53')) return text
  const real = readOrEmpty(resolvedConf)
  return real === '' ? text : real
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (err) {
    if (isCode(err, 'ENOENT')) return ''
    throw err
  }
}

function writeIfChanged(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o644, flag: 'wx' })
  } catch (err) {
    if (!isCode(err, 'EEXIST')) throw err
    if (readOrEmpty(path) !== text) writeFileSync(path, text)
  }
}

const isCode = (err: unknown, code: string): boolean => err instanceof Error && 'code' in err && err.code === code
const unique = (items: readonly string[]): readonly string[] => [...new Set(items)]
const withNewline = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`)
