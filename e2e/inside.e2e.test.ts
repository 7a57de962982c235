// What stands behind the commands: secrets and keys at rest, identities, metrics, logs, events, compacted history.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { etcdctlBinary } from '../deploy/etcd.ts'
import { prepareImage, shellPod } from './example-image.ts'
import { createMachine, eventually, type Machine, ok } from './machine.ts'
import { podTools } from './pod-tools.ts'

let m: Machine
const { apply, ctl, until } = podTools(() => m)
beforeAll(async () => {
  m = await createMachine('inside')
  await prepareImage(m)
  ok(await m.ctl('up'))
})
afterAll(async () => {
  await m[Symbol.asyncDispose]()
})

const k = async (...args: readonly string[]) => ok(await m.kubectl(...args))
const pki = (name: string): string => join(m.dataDir, 'pki', name)
const etcdctl = async (...args: readonly string[]) =>
  ok(
    await m.run(etcdctlBinary(), [
      ...['--endpoints', 'https://127.0.0.1:6445', '--cacert', pki('etcd-ca.crt')],
      ...['--cert', pki('etcd-client.crt'), '--key', pki('etcd-client.key')],
      ...args,
    ]),
  )

test('a Secret lies encrypted in etcd, and other objects do not', async () => {
  await k('create', 'secret', 'generic', 'password', '--from-literal=word=correct-horse')
  await k('create', 'configmap', 'plain', '--from-literal=word=battery-staple')
  const raw = await etcdctl('get', '--prefix', '/skiff/')
  expect(raw).toContain('/default/password')
  expect(raw).not.toContain('correct-horse')
  expect(raw).not.toContain(Buffer.from('correct-horse').toString('base64'))
  expect(raw).toContain('battery-staple')
  expect(await k('get', 'secret', 'password', '-o', 'jsonpath={.data.word}')).toBe(
    Buffer.from('correct-horse').toString('base64'),
  )
})

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

test('keys, the kubeconfig and what a node was told are readable by root only', async () => {
  const all = filesBelow(m.dataDir)
  const secret = all.filter((file) => /\.key$|node\.pem$|kubeconfig$|encryption\.json$|\/desired\//.test(file))
  expect(secret.length).toBeGreaterThan(8)
  const open = [...secret, m.kubeconfig].filter((file) => (statSync(file).mode & 0o077) !== 0 && !isBehindDoor(file))
  expect(open).toEqual([])
})

/** In a folder that others cannot enter. */
const isBehindDoor = (file: string): boolean => (statSync(join(file, '..')).mode & 0o077) === 0

test('who shows no certificate is nobody, and a node touches only what is its own', async () => {
  const server = ['--kubeconfig=/dev/null', '--server=https://127.0.0.1:6443', `--certificate-authority=${pki('cluster-ca.crt')}`]
  const nobody = await m.kubectl(...server, '--token=wrong', 'get', '--raw', '/api/v1/pods')
  expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringMatching(/Unauthorized|must be logged in/)])
  const own = join(m.dataDir, 'agent/pki')
  const node = [...server, `--client-certificate=${join(own, 'node.pem')}`, `--client-key=${join(own, 'node.pem')}`]
  const name = (await k('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}')).trim()
  expect(ok(await m.kubectl(...node, 'get', 'node', name))).toContain(name)
  const secret = await m.kubectl(...node, 'get', 'secret', 'password')
  expect([secret.code, secret.stderr]).toEqual([1, expect.stringMatching(/Forbidden.*cannot get resource "secrets"/)])
  const made = await m.kubectl(...node, 'create', 'namespace', 'mine')
  expect([made.code, made.stderr]).toEqual([1, expect.stringContaining('Forbidden')])
})

test('events of the same kind are one with a count, for ctl and kubectl', async () => {
  await apply(shellPod('dies', 'echo dying; exit 3'), '--no-wait')
  await until('dies', '.status.containerStatuses[0].restartCount', /^[2-9]/)
  const row = /Warning\s+BackOff\s+\S+ \(x\d+ over \d+s\)\s+skiff-agent\s+Back-off restarting failed container/
  await eventually('the event has a count', async (tell) => {
    const [byKubectl, byCtl] = [await k('describe', 'pod', 'dies'), await ctl('describe', 'pod', 'dies')]
    tell(byCtl)
    return row.test(byKubectl) && row.test(byCtl) ? true : undefined
  })
  const count = await k('get', 'events', '--field-selector=reason=BackOff', '-o', 'jsonpath={.items[*].count}')
  expect(Number(count)).toBeGreaterThan(1)
})

test('metrics of control plane and agent are Prometheus text', async () => {
  const controlPlane = await k('get', '--raw', '/metrics')
  expect(controlPlane).toMatch(/^skiff_apiserver_requests_total\{method="GET",code="2xx"\} [1-9]/m)
  expect(controlPlane).toMatch(/^skiff_gateway_sessions 1$/m)
  const agent = await m.get('http://127.0.0.1:6447/metrics')
  expect(agent).toMatch(/^skiff_agent_session_connected 1$/m)
  expect(agent).toMatch(/^skiff_engine_calls_total\{outcome="ok"\} [1-9]/m)
})

test('logs are JSON lines with a level, a time and a message', async () => {
  for (const name of ['controlplane', 'agent']) {
    const lines = readFileSync(join(m.dataDir, 'log', `${name}.log`), 'utf8')
      .trim()
      .split('\n')
    expect(lines.length).toBeGreaterThan(1)
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({ level: expect.anything(), time: expect.anything(), message: expect.any(String) })
  }
})

test('a watch from a revision that etcd has forgotten is told so with 410', async () => {
  const { header } = JSON.parse(await etcdctl('get', '/skiff/x', '-w', 'json')) as { header: { revision: number } }
  await etcdctl('compact', String(header.revision))
  ok(await m.ctl('down'))
  ok(await m.ctl('up'))
  const answer = await k('get', '--raw', '/api/v1/namespaces/default/pods?watch=1&resourceVersion=2&timeoutSeconds=5')
  expect(JSON.parse(answer)).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })
  expect(await k('get', 'pods')).toContain('dies')
})
