import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readCertificate } from '../lib/certificate.ts'
import { prepareImage, shellPod } from './example-image.ts'
import { createMachine, eventually, type Machine, ok, root } from './machine.ts'
import { podTools } from './pod-tools.ts'

let m: Machine
const pods = podTools(() => m)
beforeAll(async () => {
  m = await createMachine('certs')
  await prepareImage(m)
  ok(await m.ctl('up', '--node-name', 'one'))
})
afterAll(async () => {
  await m[Symbol.asyncDispose]()
})

const nodePem = (): string => readFileSync(join(m.dataDir, 'agent/pki/node.pem'), 'utf8')
const agentLog = (): string => readFileSync(join(m.dataDir, 'log/agent.log'), 'utf8')
const containers = async (): Promise<readonly string[]> =>
  ok(await m.docker('ps', '--no-trunc', '--format', '{{.ID}} {{.Names}}'))
    .trim()
    .split('\n')
    .filter((line) => !line.includes('skiff_POD_spare__'))
    .sort()
const restores = (): number =>
  readFileSync(join(m.dataDir, 'log/controlplane.log'), 'utf8').split('the store was restored').length - 1
const runPod = async (name: string): Promise<void> => {
  await pods.apply(shellPod(name, 'exec sleep 100000'))
  await pods.until(name, '.status.phase', /Running/)
}

test('ctl certs lists the certificates, and ctl certs rotate renews them under everything that runs', async () => {
  await runPod('early')
  const before = { node: nodePem(), containers: await containers() }
  const listed = ok(await m.ctl('certs'))
  expect(listed).toMatch(/NAME\s+ENDS\s+RENEWS\s+STATE/)
  for (const name of ['this kubeconfig', 'cluster-ca', 'apiserver', 'gateway', 'etcd-server', 'admin', 'node/one'])
    expect(listed).toMatch(new RegExp(`${name} .*days left`))
  ok(await m.ctl('certs', 'rotate'))
  await eventually('another certificate of the node', async () => nodePem() !== before.node || undefined)
  await eventually('the session with it', async (tell) => {
    tell(ok(await m.ctl('certs')))
    return agentLog().includes('opening a new session') && (await m.ctl('certs')).stdout.includes('node/one') ? true : undefined
  })
  // The kubeconfig is renewed too, for kubectl as well.
  ok(await m.kubectl('get', 'nodes'))
  await runPod('late')
  expect(await containers()).toEqual(expect.arrayContaining([...before.containers]))
})

test('an agent whose certificate has ended says so and kills nothing; ctl up gives it another', async () => {
  const before = await containers()
  const program = join(root, 'dist/programs/controlplane.mjs')
  const issue = ['issue-node-cert', '--data-dir', m.dataDir, '--node-name', 'one', '--out', join(m.dataDir, 'agent/pki')]
  ok(await m.run(process.execPath, [program, ...issue, '--certificate-life', '1s']))
  await eventually('its end', async () => readCertificate(nodePem()).endMs < Date.now() || undefined)
  const kubeconfig = join(m.folder, 'ended.kubeconfig')
  const pki = (name: string): string => join(m.dataDir, name)
  const [cluster, user] = [
    { server: 'https://127.0.0.1:6443', 'certificate-authority': pki('pki/cluster-ca.crt') },
    { 'client-certificate': pki('agent/pki/node.pem'), 'client-key': pki('agent/pki/node.pem') },
  ]
  const context = { cluster: 'c', user: 'u' }
  const config = { clusters: [{ name: 'c', cluster }], users: [{ name: 'u', user }], contexts: [{ name: 'x', context }] }
  writeFileSync(kubeconfig, JSON.stringify({ ...config, 'current-context': 'x' }))
  const refused = await m.ctl('get', 'nodes', '--kubeconfig', kubeconfig)
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/the certificate of "system:node:one" in .*ended\.kubeconfig ended at \d{4}-/),
  ])
  // It is shown when a session is opened: this ends the one that is open.
  const pid = /control plane: running \(pid (\d+)\)/.exec((await m.ctl('status')).stdout)?.[1]
  process.kill(Number(pid), 'SIGKILL')
  await eventually('the agent says so', async () => agentLog().includes('the certificate of this node ended at') || undefined)
  ok(await m.ctl('up'))
  expect(readCertificate(nodePem()).endMs).toBeGreaterThan(Date.now() + 86_400_000)
  await pods.until('early', '.status.phase', /Running/)
  expect(await containers()).toEqual(before)
})

test('secrets can be encrypted anew, and pods go on', async () => {
  const before = await containers()
  ok(await m.kubectl('create', 'secret', 'generic', 'password', '--from-literal=value=hunter2'))
  const key = (text: string): string | undefined => /with key (k[0-9a-f]+);/.exec(text)?.[1]
  const first = ok(await m.ctl('secrets', 'rewrite'))
  const second = ok(await m.ctl('secrets', 'rewrite'))
  expect(second).toMatch(/1 secrets rewritten with key k[0-9a-f]+; 2 older keys can still read/)
  expect(key(second)).not.toBe(key(first))
  const value = ok(await m.ctl('get', 'secret', 'password', '-o', 'jsonpath={.data.value}'))
  expect(Buffer.from(value, 'base64').toString()).toBe('hunter2')
  expect(await containers()).toEqual(before)
})

test('a restore of an older snapshot kills nothing, and the node goes on under it', async () => {
  const snapshot = join(m.folder, 'snapshot.db')
  const pki = (name: string): string => join(m.dataDir, 'pki', name)
  const etcdctl = async (...args: readonly string[]): Promise<string> =>
    ok(await m.run(process.env['SKIFF_ETCDCTL'] ?? m.env['SKIFF_ETCDCTL'] ?? 'etcdctl', args, { env: { ETCDCTL_API: '3' } }))
  const tls = ['--cacert', pki('etcd-ca.crt'), '--cert', pki('etcd-client.crt'), '--key', pki('etcd-client.key')]
  await etcdctl('--endpoints', 'https://127.0.0.1:6445', ...tls, 'snapshot', 'save', snapshot)
  await runPod('after')
  // Another leader, so that the agent has obeyed an epoch that the snapshot knows nothing of.
  ok(await m.ctl('down'))
  ok(await m.ctl('up'))
  await pods.until('after', '.status.phase', /Running/)
  const before = await containers()
  ok(await m.ctl('down'))
  ok(await m.run('mv', [join(m.dataDir, 'etcd'), join(m.folder, 'etcd.old')]))
  const peer = 'https://127.0.0.1:6446'
  const cluster = ['--name', 'skiff', '--initial-cluster', `skiff=${peer}`, '--initial-advertise-peer-urls', peer]
  await etcdctl('snapshot', 'restore', snapshot, ...cluster, '--data-dir', join(m.dataDir, 'etcd'))
  ok(await m.ctl('up'))
  await pods.until('early', '.status.phase', /Running/)
  await runPod('new')
  expect((await m.ctl('get', 'pod', 'after')).stderr).toContain('NotFound')
  expect(restores()).toBe(1)
  // Longer than the agent needs for what it would do.
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  expect(await containers()).toEqual(expect.arrayContaining([...before]))
  expect(agentLog()).not.toMatch(/refusing a control plane/)
})

test("etcd's folder put back as it was before kills nothing either, although etcd itself cannot know of it", async () => {
  const [etcd, copy] = [join(m.dataDir, 'etcd'), join(m.folder, 'etcd.copy')]
  ok(await m.ctl('down'))
  ok(await m.run('cp', ['-a', etcd, copy]))
  ok(await m.ctl('up'))
  await runPod('later')
  const before = await containers()
  ok(await m.ctl('down'))
  ok(await m.run('mv', [etcd, join(m.folder, 'etcd.newer')]))
  ok(await m.run('mv', [copy, etcd]))
  ok(await m.ctl('up'))
  await runPod('newest')
  expect((await m.ctl('get', 'pod', 'later')).stderr).toContain('NotFound')
  expect(await containers()).toEqual(expect.arrayContaining([...before]))
  expect(restores()).toBe(2)
  expect(agentLog()).not.toMatch(/refusing a control plane/)
})
