import { expect, test } from 'vitest'
import type { ServiceTable } from '../../api/proto/agent.ts'
import { FakeClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import type { Command, RunCommand } from '../host/command.ts'
import { HostPorts } from './host-ports.ts'
import { NodeNetwork } from './node-network.ts'
import { createServiceProxy } from './service-proxy.ts'

const opts = { signal: new AbortController().signal }

/** A node whose commands succeed and print nothing, or fail when told. */
function setUp(adopt?: () => Promise<void>) {
  const commands: Command[] = []
  const state = { fails: false, saved: '', takesMs: 0 }
  const run: RunCommand = async (command) => {
    commands.push(command)
    const isRestore = command.program === 'iptables-restore'
    if (isRestore) clock.step(state.takesMs)
    if (isRestore && state.fails) return { code: 2, stdout: '', stderr: 'line 3 failed' }
    return { code: 0, stdout: command.program === 'iptables-save' ? state.saved : '', stderr: '' }
  }
  const clock = new FakeClock()
  const network = new NodeNetwork({ bridge: 'skiff0', run, log: silentLog })
  const hostPorts = new HostPorts()
  const metrics = createMetrics('test_')
  const options = { network, hostPorts, nodeName: 'n1', run, clock, log: silentLog, metrics }
  const proxy = createServiceProxy(adopt === undefined ? options : { ...options, adopt })
  const restores = () => commands.filter(({ program }) => program === 'iptables-restore').map(({ input = '' }) => input)
  return { commands, state, clock, network, hostPorts, proxy, restores, metrics }
}
const ranges = { podCidr: '10.85.3.0/24', clusterCidr: '10.85.0.0/16', serviceCidr: '10.96.0.0/16' }

function table(...ips: readonly string[]): ServiceTable {
  const endpoints = ips.map((ip) => ({ ip, port: 80, node: 'n1' }))
  const ports = [{ name: '', protocol: 'TCP', port: 80, nodePort: 0, endpoints }]
  const more = { clientIpAffinity: false, affinityTimeoutSeconds: 0, externalLocal: false, internalLocal: false }
  return { revision: 1n, services: [{ key: 'default/web', clusterIp: '10.96.0.10', ports, ...more }] }
}
/** Lets what waits on promises go on. */
const turns = async () => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
}

test('nothing is written before the node’s ranges are known', async () => {
  const { proxy, commands, clock } = setUp()
  const stop = new AbortController()
  const running = proxy.run(stop.signal)
  proxy.update(table('10.85.3.2'))
  await turns()
  clock.step(10_000)
  await turns()
  expect(commands).toEqual([])
  stop.abort(new Error('enough'))
  await running
})

test.each([
  ['is as good as free', 0, 50],
  ['takes a while', 100, 500],
  ['is dear', 5_000, 1_000],
])('where writing %s, changes within a gap are written together, and only what differs', async (_how, takesMs, gap) => {
  const { proxy, network, clock, restores, state } = setUp()
  state.takesMs = takesMs
  network.configure(ranges)
  const stop = new AbortController()
  const running = proxy.run(stop.signal)
  proxy.update(table('10.85.3.2'))
  await turns()
  expect(restores()).toHaveLength(1)
  for (let last = 3; last < 30; last++) proxy.update(table(`10.85.3.${last}`))
  await turns()
  clock.step(gap - 1)
  await turns()
  expect(restores()).toHaveLength(1)
  clock.step(1)
  await turns()
  expect(restores()).toHaveLength(2)
  expect(restores()[1]).toContain('--to-destination 10.85.3.29:80')
  expect(restores()[1]).not.toContain('SKIFF-POSTROUTING')
  stop.abort(new Error('enough'))
  await running
})

test('after a failed write the next one starts from what is there', async () => {
  const { proxy, network, state, commands, restores, metrics } = setUp()
  network.configure(ranges)
  proxy.update(table('10.85.3.2'))
  await proxy.sync(opts)
  state.fails = true
  proxy.update(table('10.85.3.3'))
  await expect(proxy.sync(opts)).rejects.toThrow('line 3 failed')
  state.fails = false
  const before = commands.length
  await proxy.sync(opts)
  expect(commands.slice(before).map(({ program }) => program)).toContain('iptables-save')
  expect(restores().at(-1)).toContain(':SKIFF-POSTROUTING')
  const { body } = await metrics.render()
  expect(body).toContain('test_service_syncs_total{outcome="failed"} 1')
  expect(body).toContain('test_service_syncs_total{outcome="ok"} 2')
  expect(body).toContain('test_services 1')
})

test('while the services are not known their rules stay', async () => {
  const { proxy, network, state, restores } = setUp()
  state.saved = '*nat\n:SKIFF-SERVICES - [0:0]\n:SKIFF-SVC-X - [0:0]\n-A SKIFF-SERVICES -j SKIFF-SVC-X\nCOMMIT\n'
  network.configure(ranges)
  await proxy.sync(opts)
  expect(restores()[0]).not.toMatch(/:SKIFF-SERVICES|SKIFF-SVC-X/)
  expect(restores()[0]).toContain(':SKIFF-POSTROUTING')
  proxy.update({ revision: 1n, services: [] })
  await proxy.sync(opts)
  expect(restores()[1]).toContain('-X SKIFF-SVC-X')
})

test('nothing is written before the host ports of running pods are known', async () => {
  let isUp = false
  const { proxy, network, restores } = setUp(async () => {
    if (!isUp) throw new Error('the engine is away')
  })
  network.configure(ranges)
  proxy.update(table())
  await expect(proxy.sync(opts)).rejects.toThrow('the engine is away')
  expect(restores()).toEqual([])
  isUp = true
  await proxy.sync(opts)
  expect(restores()).toHaveLength(1)
})
