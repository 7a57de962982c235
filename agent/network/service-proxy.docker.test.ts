import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Pod } from '../../api/kinds/pod.ts'
import type { Endpoint, ServiceEntry, ServiceTable } from '../../api/proto/agent.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import type { Sandboxes } from '../contracts.ts'
import { runExec, testSpec } from '../runtime/conformance.ts'
import { createDockerRuntime } from '../runtime/docker/docker-runtime.ts'
import { makeTestImage, startTestEngine, type TestEngine, testImage } from '../runtime/docker/testing/test-engine.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { createSandboxes } from '../sandbox/sandboxes.ts'
import { HostPorts } from './host-ports.ts'
import { NodeNetwork } from './node-network.ts'
import { createServiceProxy, type ServiceProxy } from './service-proxy.ts'

let engine: TestEngine
let runtime: Runtime
let network: NodeNetwork
let hostPorts: HostPorts
let sandboxes: Sandboxes
let proxy: ServiceProxy
const { signal } = new AbortController()
const opts = { signal }
const nodeIp = '192.0.2.7'

interface Running {
  readonly pod: Pod
  readonly ip: string
  readonly id: string
}
let one: Running
let two: Running
let client: Running

beforeAll(async () => {
  engine = await startTestEngine()
  await makeTestImage(engine)
  // A way out of the node that leads nowhere, and a neighbour behind it.
  await engine.exec(
    'sh',
    '-c',
    `ip link add out type veth peer name peer && ip addr add ${nodeIp}/24 dev out && ip link set out up`,
  )
  const { run, socketPath } = engine
  runtime = createDockerRuntime({ socketPath, owner: 'test', clock: systemClock, log: silentLog })
  network = new NodeNetwork({ bridge: 'skiff0', run, log: silentLog })
  network.configure({ podCidr: '10.85.3.0/24', clusterCidr: '10.85.0.0/16', serviceCidr: '10.96.0.0/16' })
  hostPorts = new HostPorts()
  sandboxes = createSandboxes({ runtime, network, hostPorts, nodeIp, run, clock: systemClock, log: silentLog })
  proxy = newProxy()
  one = await start(['sh', '-c', 'cd /www && hostname > index.html && exec httpd -f -p 8080 -h /www'], 18_080)
  two = await start(['sh', '-c', 'cd /www && hostname > index.html && exec httpd -f -p 8080 -h /www'])
  client = await start(['sleep', '600'])
})
afterAll(async () => {
  await engine[Symbol.asyncDispose]()
})

const newProxy = (): ServiceProxy =>
  createServiceProxy({ network, hostPorts, nodeName: 'n1', run: engine.run, clock: systemClock, log: silentLog })

let count = 0
async function start(command: readonly string[], hostPort?: number): Promise<Running> {
  const name = `pod-${++count}`
  const ports = hostPort === undefined ? [] : [{ containerPort: 8080, hostPort }]
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: `uid-${name}` },
    spec: { containers: [{ name: 'main', image: testImage, ports }] },
  }
  const { containerId, ip } = await sandboxes.ensure(pod, [], opts)
  const identity = { podUid: `uid-${name}`, podNamespace: 'default', podName: name, role: 'app' as const }
  const spec = testSpec(
    testImage,
    { command, sandboxId: containerId, identity: { ...identity, container: 'main', attempt: 0, specHash: 'x' } },
    '',
  )
  const id = await runtime.create(spec, opts)
  await runtime.start(id, opts)
  return { pod, ip, id }
}

const endpoint = ({ ip }: { ip: string }, node = 'n1'): Endpoint => ({ ip, port: 8080, node })
function table(endpoints: readonly Endpoint[], more: Partial<ServiceEntry> = {}, protocol = 'TCP'): ServiceTable {
  const entry: ServiceEntry = {
    key: 'default/web',
    clusterIp: '10.96.0.10',
    ports: [{ name: 'http', protocol, port: 80, nodePort: 30_080, endpoints: [...endpoints] }],
    clientIpAffinity: false,
    affinityTimeoutSeconds: 0,
    externalLocal: false,
    internalLocal: false,
    ...more,
  }
  return { revision: 1n, services: [entry] }
}
async function apply(next: ServiceTable): Promise<void> {
  proxy.update(next)
  await proxy.sync(opts)
}

async function fromPod(pod: Running, url: string): Promise<string> {
  const { stdout, stderr, code } = await runExec(runtime, pod.id, ['wget', '-q', '-O-', url])
  return code === 0 ? stdout.trim() : `failed: ${stderr.trim()}`
}
async function fromNode(url: string): Promise<string> {
  const { stdout, stderr, code } = await engine.run(
    { program: 'busybox', args: ['timeout', '5', 'wget', '-q', '-O-', url] },
    opts,
  )
  return code === 0 ? stdout.trim() : `failed: ${stderr.trim()}`
}
async function many(ask: () => Promise<string>, times = 16): Promise<readonly string[]> {
  const answers: string[] = []
  for (let index = 0; index < times; index++) answers.push(await ask())
  return [...new Set(answers)].sort()
}

test('a service spreads over its endpoints, from a pod, from the node, by node port and by 127.0.0.1', async () => {
  await apply(table([endpoint(one), endpoint(two)]))
  expect(await many(() => fromPod(client, 'http://10.96.0.10/'))).toEqual(['pod-1', 'pod-2'])
  expect(await many(() => fromNode('http://10.96.0.10/'))).toEqual(['pod-1', 'pod-2'])
  expect(await many(() => fromNode(`http://${nodeIp}:30080/`))).toEqual(['pod-1', 'pod-2'])
  expect(await many(() => fromNode('http://127.0.0.1:30080/'))).toEqual(['pod-1', 'pod-2'])
  expect(await many(() => fromPod(client, `http://${nodeIp}:30080/`))).toEqual(['pod-1', 'pod-2'])
})

test('a pod reaches itself through its service', async () => {
  await apply(table([endpoint(one)]))
  expect(await fromPod(one, 'http://10.96.0.10/')).toBe('pod-1')
  expect(await fromPod(one, `http://${nodeIp}:30080/`)).toBe('pod-1')
})

test('with client affinity a client stays with one endpoint', async () => {
  await apply(table([endpoint(one), endpoint(two)], { clientIpAffinity: true }))
  expect(await many(() => fromPod(client, 'http://10.96.0.10/'))).toHaveLength(1)
})

test('a service without endpoints refuses at once', async () => {
  await apply(table([]))
  const startedAt = performance.now()
  expect(await fromPod(client, 'http://10.96.0.10/')).toMatch(/refused/)
  expect(await fromNode('http://10.96.0.10/')).toMatch(/refused/)
  expect(await fromNode('http://127.0.0.1:30080/')).toMatch(/refused/)
  expect(performance.now() - startedAt).toBeLessThan(4_000)
})

test('local traffic policies keep to endpoints of this node', async () => {
  const elsewhere = endpoint({ ip: '10.85.9.9' }, 'n2')
  await apply(table([endpoint(two), elsewhere], { internalLocal: true }))
  expect(await many(() => fromPod(client, 'http://10.96.0.10/'), 8)).toEqual(['pod-2'])
  await apply(table([endpoint(two)], { externalLocal: true }))
  expect(await fromNode('http://127.0.0.1:30080/')).toBe('pod-2')
})

test('a host port leads to its pod, also from 127.0.0.1 and from the pod itself', async () => {
  await apply(table([]))
  expect(await fromNode(`http://${nodeIp}:18080/`)).toBe('pod-1')
  expect(await fromNode('http://127.0.0.1:18080/')).toBe('pod-1')
  expect(await fromPod(one, `http://${nodeIp}:18080/`)).toBe('pod-1')
})

test('a pod that forges packets does not reach what listens on the node’s 127.0.0.1', async () => {
  await apply(table([]))
  await engine.exec('busybox', 'httpd', '-p', '127.0.0.1:7777', '-h', '/')
  const forger = await start(['sleep', '600'])
  const state = (await runtime.list(opts)).find(({ id }) => id === forger.id)
  const inPod = (script: string) =>
    engine.run({ program: 'nsenter', args: [`--net=/proc/${state?.pid}/ns/net`, 'sh', '-c', script] }, opts)
  await inPod(
    'ip addr del 127.0.0.1/8 dev lo; echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip route add 127.0.0.0/8 via 10.85.3.1',
  )
  const attack = () => inPod('busybox timeout 2 busybox wget -q -O- http://127.0.0.1:7777/etc/hostname')
  expect((await attack()).code).not.toBe(0)
  // Without our rule it would.
  await engine.exec('iptables', '-D', 'SKIFF-INPUT', '1')
  expect((await attack()).code).toBe(0)
  await proxy.sync(opts)
  expect((await attack()).code).not.toBe(0)
  await engine.exec('sh', '-c', 'kill $(ss -ltnp | sed -n "s/.*127.0.0.1:7777.*pid=\\([0-9]*\\).*/\\1/p")')
})

test('rules that somebody flushed come back, and foreign ones stay', async () => {
  await engine.exec('iptables', '-A', 'INPUT', '-p', 'tcp', '--dport', '9', '-j', 'DROP')
  await apply(table([endpoint(one)]))
  await engine.exec('iptables', '-t', 'nat', '-F')
  await engine.exec('iptables', '-D', 'FORWARD', '1')
  expect(await fromNode('http://127.0.0.1:30080/')).toMatch(/failed/)
  await proxy.sync(opts)
  expect(await fromNode('http://127.0.0.1:30080/')).toBe('pod-1')
  expect(await engine.exec('iptables-save')).toContain('--dport 9 -j DROP')
})

test('chains of services that are gone are deleted, also after a restart of the agent', async () => {
  await apply(table([endpoint(one), endpoint(two)]))
  proxy = newProxy()
  await proxy.sync(opts)
  expect(await fromNode('http://127.0.0.1:30080/'), 'rules stay while the services are not known').toMatch(/pod-/)
  await apply({ revision: 2n, services: [] })
  expect(await engine.exec('iptables-save')).not.toMatch(/SKIFF-(SVC|SEP|EXT)/)
})

test('UDP flows to a pod that is gone end', async () => {
  await apply(table([endpoint(one)], {}, 'UDP'))
  await engine.exec('bash', '-c', 'echo hi >/dev/udp/10.96.0.10/80')
  const flows = async () => engine.exec('sh', '-c', 'conntrack -L -p udp 2>/dev/null')
  expect(await flows()).toContain('dst=10.96.0.10')
  await apply(table([endpoint(two)], {}, 'UDP'))
  expect(await flows()).not.toContain('dst=10.96.0.10')
})

test('the service loop writes what it was told, and the hash of the rules does not change by itself', async () => {
  const stop = new AbortController()
  const running = proxy.run(stop.signal)
  proxy.update(table([endpoint(two)]))
  let answer = ''
  for (let tries = 0; tries < 100 && answer !== 'pod-2'; tries++) {
    answer = await fromNode('http://127.0.0.1:30080/')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect(answer).toBe('pod-2')
  const hash = async () =>
    createHash('sha256')
      .update((await engine.exec('iptables-save')).replace(/[#:].*/g, ''))
      .digest('hex')
  const first = await hash()
  await proxy.sync(opts)
  expect(await hash()).toBe(first)
  stop.abort(new Error('enough'))
  await running
})

test('removal leaves no rule, bridge or link of Skiff’s and all of the others’', async () => {
  await proxy.remove(opts)
  await network.remove(opts)
  const rules = await engine.exec('iptables-save')
  expect(rules).not.toMatch(/skiff/i)
  expect(rules).toContain('--dport 9 -j DROP')
  expect(rules).toContain('DOCKER')
  expect(await engine.exec('ip', 'link')).not.toMatch(/skiff0|skv/)
  await proxy.remove(opts)
  await network.remove(opts)
})
