import { expect, test } from 'vitest'
import type { ServiceTable } from '../../api/proto/agent.ts'
import { parseCidr } from './cidr.ts'
import { hasUdp, staleFlows } from './udp-flows.ts'

const cluster = parseCidr('10.85.0.0/16')
function table(...ips: readonly string[]): ServiceTable {
  const endpoints = ips.map((ip) => ({ ip, port: 53, node: 'n1' }))
  const ports = [{ name: 'dns', protocol: 'UDP', port: 53, nodePort: 30_053, endpoints }]
  const more = { clientIpAffinity: false, affinityTimeoutSeconds: 0, externalLocal: false, internalLocal: false }
  return { revision: 1n, services: [{ key: 'default/dns', clusterIp: '10.96.0.10', ports, ...more }] }
}
const flow = (target: string, answering: string) =>
  `udp      17 25 src=10.85.0.9 dst=${target.split(':')[0]} sport=5555 dport=${target.split(':')[1]} [UNREPLIED] src=${answering} dst=10.85.0.9 sport=53 dport=5555 mark=0 use=1`

test.each([
  ['to an endpoint', '10.96.0.10:53', '10.85.0.2', 0],
  ['to a pod that is gone', '10.96.0.10:53', '10.85.0.3', 1],
  ['from before the service had endpoints', '10.96.0.10:53', '10.96.0.10', 1],
  ['to another port of the address', '10.96.0.10:54', '10.85.0.3', 0],
  ['by node port to an endpoint', '192.0.2.7:30053', '10.85.0.2', 0],
  ['by node port to a pod that is gone', '192.0.2.7:30053', '10.85.0.3', 1],
  ['to the same port of a strange machine', '198.51.100.1:30053', '198.51.100.1', 0],
])('a flow %s', (_, target, answering, expected) => {
  const stale = staleFlows(`${flow(target, answering)}\nnonsense\n`, table('10.85.0.2'), cluster)
  expect(stale).toHaveLength(expected)
})

test('a stale flow is named exactly', () => {
  expect(staleFlows(flow('10.96.0.10:53', '10.85.0.3'), table(), cluster)).toEqual([
    ['-D', '-p', 'udp', '--orig-src', '10.85.0.9', '--sport', '5555', '--orig-dst', '10.96.0.10', '--dport', '53'],
  ])
})

test('a table without UDP needs no look at the flows', () => {
  expect(hasUdp(table())).toBe(true)
  expect(hasUdp({ revision: 1n, services: [] })).toBe(false)
})
