import type { ServicePort, ServiceTable } from '../../api/proto/agent.ts'
import { type Cidr, contains, parseIp } from './cidr.ts'

/** A UDP flow that the kernel tracks: what the sender sent to, and who answers. */
interface Flow {
  readonly source: string
  readonly sourcePort: string
  readonly target: string
  readonly targetPort: string
  readonly answering: string
  readonly answeringPort: string
}

/**
 * The kernel goes on sending a UDP flow to where its first packet went, also when that pod has gone. Gives the arguments
 * for `conntrack -D` of those flows to services whose answering end is no endpoint (any more).
 */
export function staleFlows(listing: string, table: ServiceTable, clusterCidr: Cidr): readonly (readonly string[])[] {
  const ports = udpPorts(table)
  return parseFlows(listing)
    .filter((flow) => isStale(flow, ports, clusterCidr))
    .map(({ source, sourcePort, target, targetPort }) => [
      '-D',
      ...['-p', 'udp', '--orig-src', source, '--sport', sourcePort],
      ...['--orig-dst', target, '--dport', targetPort],
    ])
}

export function hasUdp(table: ServiceTable): boolean {
  return table.services.some(({ ports }) => ports.some(({ protocol }) => protocol === 'UDP'))
}

interface UdpPorts {
  /** By `address:port`. */
  readonly clusterPorts: ReadonlyMap<string, ServicePort>
  readonly nodePorts: ReadonlyMap<string, ServicePort>
}

function udpPorts(table: ServiceTable): UdpPorts {
  const clusterPorts = new Map<string, ServicePort>()
  const nodePorts = new Map<string, ServicePort>()
  for (const { clusterIp, ports } of table.services) {
    for (const port of ports.filter(({ protocol }) => protocol === 'UDP')) {
      clusterPorts.set(`${clusterIp}:${port.port}`, port)
      if (port.nodePort > 0) nodePorts.set(String(port.nodePort), port)
    }
  }
  return { clusterPorts, nodePorts }
}

function isStale(flow: Flow, { clusterPorts, nodePorts }: UdpPorts, clusterCidr: Cidr): boolean {
  const isEndpoint = ({ endpoints }: ServicePort): boolean =>
    endpoints.some(({ ip, port }) => ip === flow.answering && String(port) === flow.answeringPort)
  const inner = clusterPorts.get(`${flow.target}:${flow.targetPort}`)
  if (inner !== undefined) return !isEndpoint(inner)
  // A node port's number may be that of any port of any other machine: only flows that lead to a pod are ours.
  const outer = nodePorts.get(flow.targetPort)
  const answering = parseIp(flow.answering)
  const isRewritten = flow.answering !== flow.target && answering !== undefined && contains(clusterCidr, answering)
  return outer !== undefined && isRewritten && !isEndpoint(outer)
}

/** Lines as `udp 17 29 src=… dst=… sport=… dport=… [UNREPLIED] src=… dst=… sport=… dport=… …`. */
function parseFlows(listing: string): readonly Flow[] {
  return listing.split('\n').flatMap((line) => {
    const values = (name: string): readonly string[] =>
      [...line.matchAll(new RegExp(`(?:^| )${name}=(\\S+)`, 'g'))].map((m) => m[1] ?? '')
    const [source, answering] = values('src')
    const [target] = values('dst')
    const [sourcePort, answeringPort] = values('sport')
    const [targetPort] = values('dport')
    const parts = { source, sourcePort, target, targetPort, answering, answeringPort }
    return isWhole(parts) ? [parts] : []
  })
}

function isWhole(parts: { readonly [K in keyof Flow]: string | undefined }): parts is Flow {
  return Object.values(parts).every((part) => part !== undefined)
}
