import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Pod } from '../../api/kinds/pod.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import type { Sandboxes } from '../contracts.ts'
import { HostPorts } from '../network/host-ports.ts'
import { NodeNetwork } from '../network/node-network.ts'
import { readLog, runExec, testSpec } from '../runtime/conformance.ts'
import { createDockerRuntime } from '../runtime/docker/docker-runtime.ts'
import { makeTestImage, startTestEngine, type TestEngine, testImage } from '../runtime/docker/testing/test-engine.ts'
import type { Mount, Runtime } from '../runtime/runtime.ts'
import { podFiles } from './pod-files.ts'
import { createSandboxes } from './sandboxes.ts'
import { linkName } from './wiring.ts'

let engine: TestEngine
let runtime: Runtime
let network: NodeNetwork
let hostPorts: HostPorts
let sandboxes: Sandboxes
const { signal } = new AbortController()
const opts = { signal }

beforeAll(async () => {
  engine = await startTestEngine()
  await makeTestImage(engine)
  runtime = createDockerRuntime({ socketPath: engine.socketPath, owner: 'test', clock: systemClock, log: silentLog })
})
afterAll(async () => {
  await engine[Symbol.asyncDispose]()
})
beforeEach(() => {
  network = new NodeNetwork({ bridge: 'skiff0', run: engine.run, log: silentLog })
  network.configure({ podCidr: '10.85.3.0/24', clusterCidr: '10.85.0.0/16', serviceCidr: '10.96.0.0/16' })
  hostPorts = new HostPorts()
  sandboxes = newSandboxes()
})

/** As after a restart of the agent: nothing is remembered. */
function newSandboxes(by = runtime): Sandboxes {
  return createSandboxes({
    runtime: by,
    network,
    hostPorts,
    nodeIp: '192.0.2.7',
    run: engine.run,
    clock: systemClock,
    log: silentLog,
  })
}

let count = 0
function pod(spec: Partial<Pod['spec']> = {}): Pod {
  count += 1
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `web-${count}`, namespace: 'default', uid: `uid-${count}` },
    spec: { containers: [{ name: 'main', image: testImage }], ...spec },
  }
}
const uidOf = (it: Pod): string => it.metadata.uid ?? ''
const seenOf = (it: Pod) => runtime.listPod(uidOf(it), opts)
const ensure = async (it: Pod) => sandboxes.ensure(it, await seenOf(it), opts)
const remove = async (it: Pod) => sandboxes.remove(uidOf(it), await seenOf(it), opts)

async function app(it: Pod, sandboxId: string, command: readonly string[], mounts: readonly Mount[] = []): Promise<string> {
  const identity = { podUid: uidOf(it), podNamespace: 'default', podName: it.metadata.name ?? '', role: 'app' as const }
  const spec = testSpec(
    testImage,
    { command, sandboxId, mounts, identity: { ...identity, container: 'main', attempt: 0, specHash: 'x' } },
    '',
  )
  const id = await runtime.create(spec, opts)
  await runtime.start(id, opts)
  return id
}
async function removeAll(it: Pod): Promise<void> {
  for (const state of await seenOf(it)) if (state.identity.role === 'app') await runtime.remove(state.id, opts)
  await remove(it)
}

test('two pods reach each other and the node, and see each other’s own addresses', async () => {
  const [a, b] = [pod(), pod()]
  const [sandboxA, sandboxB] = [await ensure(a), await ensure(b)]
  expect(sandboxA.ip).not.toBe(sandboxB.ip)
  const server = await app(b, sandboxB.containerId, [
    'sh',
    '-c',
    'cd /www && echo hello > index.html && exec httpd -f -v -p 8080 -h /www',
  ])
  const client = await app(a, sandboxA.containerId, ['sleep', '600'])
  const answer = await runExec(runtime, client, ['wget', '-q', '-O-', `http://${sandboxB.ip}:8080/`])
  expect(answer).toMatchObject({ stdout: 'hello\n', code: 0 })
  expect((await readLog(runtime, server, {})).stderr).toContain(sandboxA.ip)
  const fromNode = await engine.exec('busybox', 'wget', '-q', '-O-', `http://${sandboxB.ip}:8080/`)
  expect(fromNode).toBe('hello\n')
  expect((await runExec(runtime, client, ['hostname'])).stdout).toBe(`${a.metadata.name}\n`)
  await removeAll(a)
  await removeAll(b)
})

test('system calls of a pod’s containers are filtered, and those of its sandbox where a container sees its process', async () => {
  const filters = async (it: Pod): Promise<readonly string[]> => {
    const { containerId } = await ensure(it)
    await app(it, containerId, ['sleep', '600'])
    const seen = (await seenOf(it)).toSorted((one, other) => one.identity.role.localeCompare(other.identity.role))
    const statuses = await Promise.all(seen.map(({ pid }) => readFile(`/proc/${pid}/status`, 'utf8')))
    await removeAll(it)
    return statuses.map((status) => /^Seccomp:\s+(\d)$/m.exec(status)?.[1] ?? '')
  }
  // 2: by a filter.
  expect(await filters(pod())).toEqual(['2', '0'])
  expect(await filters(pod({ shareProcessNamespace: true }))).toEqual(['2', '2'])
})

test('asking again gives the same sandbox, also after a restart of the agent', async () => {
  const it = pod()
  const first = await ensure(it)
  expect(await ensure(it)).toEqual(first)
  sandboxes = newSandboxes()
  expect(await ensure(it)).toEqual(first)
  expect((await seenOf(it)).length).toBe(1)
  await remove(it)
  expect(await seenOf(it)).toEqual([])
  expect((await engine.exec('ip', '-o', 'link', 'show')).includes(linkName(first.containerId))).toBe(false)
  await remove(it)
})

test('after a restart no new pod gets an address that is in use', async () => {
  const pods = [pod(), pod(), pod()]
  const before = []
  for (const it of pods) before.push((await ensure(it)).ip)
  sandboxes = newSandboxes()
  const late = pod()
  expect(before).not.toContain((await ensure(late)).ip)
  for (const it of [...pods, late]) await remove(it)
})

test('a sandbox that was cut off is connected again', async () => {
  const it = pod()
  const { containerId, ip } = await ensure(it)
  await engine.exec('ip', 'link', 'del', linkName(containerId))
  sandboxes = newSandboxes()
  expect(await ensure(it)).toMatchObject({ containerId, ip })
  await engine.exec('busybox', 'ping', '-c1', '-W2', ip)
  await remove(it)
})

test('a bridge that was deleted comes back with its pods', async () => {
  const it = pod()
  const { ip } = await ensure(it)
  await engine.exec('ip', 'link', 'del', 'skiff0')
  await network.setUp(opts)
  await engine.exec('busybox', 'ping', '-c1', '-W2', ip)
  await remove(it)
})

test('a sandbox that died is replaced', async () => {
  const it = pod()
  const first = await ensure(it)
  await runtime.stop(first.containerId, 0, opts)
  const second = await ensure(it)
  expect(second.containerId).not.toBe(first.containerId)
  expect((await seenOf(it)).map((state) => state.id)).toEqual([second.containerId])
  await engine.exec('busybox', 'ping', '-c1', '-W2', second.ip)
  await remove(it)
})

test('a sandbox that was created but not started is used', async () => {
  const it = pod()
  const { containerId, ip } = await ensure(it)
  await runtime.stop(containerId, 0, opts)
  const [state] = await seenOf(it)
  if (state === undefined) throw new Error('the sandbox is there')
  sandboxes = newSandboxes()
  const asCreated = { ...state, status: 'created' as const, exitCode: undefined }
  expect(await sandboxes.ensure(it, [asCreated], opts)).toMatchObject({ containerId, ip })
  await remove(it)
})

test('a sandbox has a network that the engine does not manage, no right, and lets anybody listen on port 80', async () => {
  const it = pod()
  const { containerId } = await ensure(it)
  expect(await engine.docker('inspect', '-f', '{{.Config.NetworkDisabled}}', containerId)).toBe('true\n')
  const pid = (await seenOf(it))[0]?.pid ?? 0
  expect(await readFile(`/proc/${pid}/status`, 'utf8')).toMatch(/CapEff:\t0{16}\n/)
  const id = await app(it, containerId, ['sleep', '600'])
  const read = ['cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start', '/proc/sys/net/ipv4/ping_group_range']
  expect((await runExec(runtime, id, read)).stdout).toBe('0\n0\t2147483647\n')
  expect((await runExec(runtime, id, ['ip', '-o', 'link', 'show'])).stdout.trim().split('\n')).toHaveLength(2)
  await removeAll(it)
})

test('a pod with the host’s network has the node’s address', async () => {
  const it = pod({ hostNetwork: true })
  const { ip, containerId } = await ensure(it)
  expect(ip).toBe('192.0.2.7')
  expect(await engine.docker('inspect', '-f', '{{.HostConfig.NetworkMode}}', containerId)).toBe('host\n')
  await remove(it)
})

test('sysctls of the pod hold in its sandbox', async () => {
  const it = pod({ securityContext: { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '80' }] } })
  const { containerId } = await ensure(it)
  const id = await app(it, containerId, ['sleep', '600'])
  expect((await runExec(runtime, id, ['cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start'])).stdout).toBe('80\n')
  await removeAll(it)
})

test('a container sees the pod’s own hosts and resolver files', async () => {
  const it = pod({
    hostAliases: [{ ip: '192.0.2.9', hostnames: ['db'] }],
    dnsPolicy: 'None',
    dnsConfig: { nameservers: ['192.0.2.53'] },
  })
  const { containerId, ip } = await ensure(it)
  const files = await podFiles(it, ip, `${engine.folder}/files-of-pod`)
  const id = await app(it, containerId, ['sleep', '600'], files)
  const { stdout } = await runExec(runtime, id, ['cat', '/etc/hosts', '/etc/resolv.conf', '/etc/hostname'])
  expect(stdout).toContain(`${ip}\t${it.metadata.name}\n`)
  expect(stdout).toContain('192.0.2.9\tdb\n')
  expect(stdout).toContain(`nameserver 192.0.2.53\n${it.metadata.name}\n`)
  await removeAll(it)
})

test('a host port that a program or another pod has is refused by name', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const withPort = () => pod({ containers: [{ name: 'main', image: testImage, ports: [{ containerPort: 80, hostPort: port }] }] })
  await expect(ensure(withPort())).rejects.toThrow(`host port ${port}/TCP is already in use on this node`)
  await new Promise((resolve) => server.close(resolve))
  const first = withPort()
  await ensure(first)
  await expect(ensure(withPort())).rejects.toThrow(`host port ${port}/TCP is taken by another pod on this node`)
  await remove(first)
  expect(hostPorts.all()).toEqual([])
})

test('the sandbox’s process ends at once when asked', async () => {
  const it = pod()
  const { containerId } = await ensure(it)
  const startedAt = performance.now()
  await runtime.stop(containerId, 10_000, opts)
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  expect((await seenOf(it))[0]).toMatchObject({ status: 'exited', exitCode: 0 })
  await remove(it)
})
