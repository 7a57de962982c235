import { createHash } from 'node:crypto'
import type { Endpoint, ServiceEntry, ServicePort, ServiceTable } from '../../api/proto/agent.ts'
import { parseIp } from './cidr.ts'
import type { PodHostPorts } from './host-ports.ts'

/** Rules by chain, as `iptables` takes them after `-A <chain>`. All chains are Skiff's own. */
export type Chains = ReadonlyMap<string, readonly string[]>

export interface Tables {
  readonly nat: Chains
  readonly filter: Chains
}

export type TableName = keyof Tables

/** Where packets enter our chains. The only rules of ours outside them. */
export interface Jump {
  readonly table: TableName
  readonly from: string
  readonly to: string
  readonly match: string
}

export interface TablesOptions {
  readonly nodeName: string
  readonly bridge: string
  readonly podCidr: string
  readonly clusterCidr: string
  readonly hostPorts: readonly PodHostPorts[]
}

export const chainPrefix = 'SKIFF-'
const services = 'SKIFF-SERVICES'
const nodePorts = 'SKIFF-NODEPORTS'
const hostPortsChain = 'SKIFF-HOSTPORTS'
const postrouting = 'SKIFF-POSTROUTING'
const masquerade = 'SKIFF-MASQ'
const input = 'SKIFF-INPUT'
const forward = 'SKIFF-FORWARD'
const reject = 'SKIFF-REJECT'

/** Chains whose content comes from the service table. */
export const serviceChains: readonly string[] = [services, nodePorts, reject]

/** Marks packets that are to leave with the node's address. One bit, so that others' marks stay. */
const mark = '0x20000/0x20000'
const isLocal = '-m addrtype --dst-type LOCAL'
const defaultAffinitySeconds = 10_800

export const jumps: readonly Jump[] = [
  { table: 'nat', from: 'PREROUTING', to: services, match: '' },
  { table: 'nat', from: 'OUTPUT', to: services, match: '' },
  { table: 'nat', from: 'POSTROUTING', to: postrouting, match: '' },
  { table: 'filter', from: 'INPUT', to: input, match: '' },
  { table: 'filter', from: 'FORWARD', to: forward, match: '' },
  { table: 'filter', from: 'OUTPUT', to: reject, match: '-m conntrack --ctstate NEW ' },
]

/** What the packet filter of this node has to hold. Pure: same input, same tables. */
export function buildTables(table: ServiceTable, options: TablesOptions): Tables {
  const nat = new Map<string, string[]>()
  const filter = new Map<string, string[]>()
  addBase(nat, filter, options)
  for (const entry of table.services) {
    for (const port of entry.ports) if (isSound(entry, port)) addPort(nat, filter, { entry, port, options })
  }
  for (const pod of options.hostPorts) addHostPorts(nat, pod)
  // Last: only what no service and no host port took.
  nat.get(services)?.push(`${isLocal} -j ${hostPortsChain}`, `${isLocal} -j ${nodePorts}`)
  return { nat, filter }
}

function addBase(
  nat: Map<string, string[]>,
  filter: Map<string, string[]>,
  { bridge, podCidr, clusterCidr }: TablesOptions,
): void {
  nat.set(services, [])
  nat.set(nodePorts, [])
  nat.set(hostPortsChain, [])
  nat.set(masquerade, [`-j MARK --set-xmark ${mark}`])
  nat.set(postrouting, [
    `-s ${podCidr} ! -d ${clusterCidr} ! -o ${bridge} -j MASQUERADE --random-fully`,
    `-m mark ! --mark ${mark} -j RETURN`,
    `-j MARK --set-xmark 0x0/${mark.split('/')[1]}`,
    '-j MASQUERADE --random-fully',
  ])
  // The bridge lets packets to 127.0.0.0/8 through for the node's own sake; from a pod they are an attack.
  filter.set(input, [
    `-i ${bridge} -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP`,
    `-m conntrack --ctstate NEW -j ${reject}`,
  ])
  filter.set(forward, [
    `-m conntrack --ctstate NEW -j ${reject}`,
    // A late packet that cannot be rewritten back would make the pod reset the connection.
    `-i ${bridge} -m conntrack --ctstate INVALID -j DROP`,
    `-o ${bridge} -m conntrack --ctstate INVALID -j DROP`,
    `-i ${bridge} -j ACCEPT`,
    `-o ${bridge} -j ACCEPT`,
  ])
  filter.set(reject, [])
}

interface PortInput {
  readonly entry: ServiceEntry
  readonly port: ServicePort
  readonly options: TablesOptions
}

/** One bad line would make the kernel refuse the whole table. */
function isSound(entry: ServiceEntry, port: ServicePort): boolean {
  return parseIp(entry.clusterIp) !== undefined && isPort(port.port) && ['TCP', 'UDP'].includes(port.protocol)
}

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port < 65_536

function addPort(nat: Map<string, string[]>, filter: Map<string, string[]>, input: PortInput): void {
  const { entry, port } = input
  const all = port.endpoints.filter(({ ip, port: number }) => parseIp(ip) !== undefined && isPort(number))
  const local = all.filter(({ node }) => node === input.options.nodeName)
  const note = comment(`${entry.key}${port.name === '' ? '' : `:${port.name}`}`)
  const toCluster = `-d ${entry.clusterIp}/32 ${proto(port)} --dport ${port.port}`
  const inner = entry.internalLocal ? local : all
  if (inner.length > 0) {
    nat.get(services)?.push(`${toCluster} ${note} -j ${balance(nat, input, entry.internalLocal ? 'SVL' : 'SVC', inner)}`)
  } else {
    filter.get(reject)?.push(`${toCluster} ${note} -j ${refusal(all, port)}`)
  }
  if (isPort(port.nodePort)) addNodePort(nat, filter, input, { all, local, note })
}

/**
 * Nobody there at all: say so, to TCP by a reset, which unlike ICMP passes every kernel's address rewriting. Only
 * elsewhere, by the service's own wish: stay silent, as Kubernetes does.
 */
function refusal(all: readonly Endpoint[], { protocol }: ServicePort): string {
  if (all.length > 0) return 'DROP'
  return `REJECT --reject-with ${protocol === 'TCP' ? 'tcp-reset' : 'icmp-port-unreachable'}`
}

function addNodePort(
  nat: Map<string, string[]>,
  filter: Map<string, string[]>,
  input: PortInput,
  { all, local, note }: { all: readonly Endpoint[]; local: readonly Endpoint[]; note: string },
): void {
  const { entry, port, options } = input
  const toNode = `${proto(port)} --dport ${port.nodePort}`
  const outer = entry.externalLocal ? local : all
  if (outer.length === 0) filter.get(reject)?.push(`${isLocal} ${toNode} ${note} -j ${refusal(all, port)}`)
  if (all.length === 0) return
  const everywhere = balance(nat, input, 'SVC', all)
  const external = chainName('EXT', entry, port)
  nat.get(nodePorts)?.push(`${toNode} ${note} -j ${external}`)
  if (!entry.externalLocal) {
    nat.set(external, [`-j ${masquerade}`, `-j ${everywhere}`])
    return
  }
  // From inside the cluster the policy does not matter: who asks is not lost on the way.
  const rules = [
    `-s ${options.clusterCidr} -j ${everywhere}`,
    `-m addrtype --src-type LOCAL -j ${masquerade}`,
    `-m addrtype --src-type LOCAL -j ${everywhere}`,
  ]
  if (local.length > 0) rules.push(`-j ${balance(nat, input, 'SVL', local)}`)
  nat.set(external, rules)
}

/** Adds the chain that spreads connections over endpoints, and theirs; gives its name. */
function balance(
  nat: Map<string, string[]>,
  { entry, port, options }: PortInput,
  kind: 'SVC' | 'SVL',
  endpoints: readonly Endpoint[],
): string {
  const name = chainName(kind, entry, port)
  if (nat.has(name)) return name
  const toCluster = `-d ${entry.clusterIp}/32 ${proto(port)} --dport ${port.port}`
  const rules = [`! -s ${options.clusterCidr} ${toCluster} -j ${masquerade}`]
  const chains = endpoints.map((endpoint) => addEndpoint(nat, entry, port, endpoint))
  if (entry.clientIpAffinity) {
    const seconds = entry.affinityTimeoutSeconds > 0 ? entry.affinityTimeoutSeconds : defaultAffinitySeconds
    for (const chain of chains) rules.push(`-m recent --name ${chain} --rcheck --seconds ${seconds} --reap -j ${chain}`)
  }
  chains.forEach((chain, index) => {
    const left = chains.length - index
    const chance = left === 1 ? '' : `-m statistic --mode random --probability ${(1 / left).toFixed(10)} `
    rules.push(`${chance}-j ${chain}`)
  })
  nat.set(name, rules)
  return name
}

function addEndpoint(nat: Map<string, string[]>, entry: ServiceEntry, port: ServicePort, { ip, port: target }: Endpoint): string {
  const name = chainName('SEP', entry, port, `${ip}:${target}`)
  const remember = entry.clientIpAffinity ? `-m recent --name ${name} --set ` : ''
  nat.set(name, [
    // A pod that reaches itself: its own address as the sender would make it answer itself past the rewriting.
    `-s ${ip}/32 -j ${masquerade}`,
    `${remember}${proto(port)} -j DNAT --to-destination ${ip}:${target}`,
  ])
  return name
}

function addHostPorts(nat: Map<string, string[]>, { ip, ports }: PodHostPorts): void {
  for (const { protocol, hostIp, hostPort, containerPort } of ports) {
    const to = `${hostIp === undefined ? '' : `-d ${hostIp}/32 `}${proto({ protocol })} --dport ${hostPort}`
    nat
      .get(hostPortsChain)
      ?.push(
        `-s ${ip}/32 ${to} -j ${masquerade}`,
        `-s 127.0.0.0/8 ${to} -j ${masquerade}`,
        `${to} -j DNAT --to-destination ${ip}:${containerPort}`,
      )
  }
}

function proto({ protocol }: { readonly protocol: string }): string {
  const name = protocol.toLowerCase()
  return `-p ${name} -m ${name}`
}

function comment(text: string): string {
  return `-m comment --comment "${text.replace(/[^\w./:-]/g, '').slice(0, 200)}"`
}

/** The kernel allows 28 characters; the hash keeps names apart and the same for the same port. */
function chainName(kind: string, entry: ServiceEntry, port: ServicePort, more = ''): string {
  const text = `${entry.key}/${port.name}/${port.protocol}/${port.port}/${more}`
  return `${chainPrefix}${kind}-${createHash('sha256').update(text).digest('hex').slice(0, 16).toUpperCase()}`
}
