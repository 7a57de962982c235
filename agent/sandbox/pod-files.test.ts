import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Pod } from '../../api/kinds/pod.ts'
import { hostsFile, podFiles, resolvConf } from './pod-files.ts'
import { hostnameOf } from './sandbox-spec.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-pod-files-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

function pod(spec: Partial<Pod['spec']> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-1', namespace: 'shop', uid: 'u' },
    spec: { containers: [{ name: 'main', image: 'x' }], ...spec },
  }
}
const dns = { address: '10.96.0.10', domain: 'cluster.local' }
const host = 'nameserver 127.0.0.1\nnameserver 192.0.2.1 # here\nsearch example.com corp.example\noptions timeout:2 rotate\n'

test('hosts knows the pod by its name, and its aliases', () => {
  const text = hostsFile(pod({ subdomain: 'web', hostAliases: [{ ip: '192.0.2.9', hostnames: ['db', 'cache'] }] }), '10.85.3.2', {
    clusterDns: dns,
    hostHosts: undefined,
  })
  expect(text).toContain('127.0.0.1\tlocalhost\n')
  expect(text).toContain('10.85.3.2\tweb-1.web.shop.svc.cluster.local\tweb-1\n')
  expect(text).toContain('192.0.2.9\tdb\tcache\n')
})

test('a pod with the node’s network has the node’s hosts and its own aliases', () => {
  const spec = { hostNetwork: true, hostAliases: [{ ip: '192.0.2.9', hostnames: ['db'] }] }
  const text = hostsFile(pod(spec), '192.0.2.7', { clusterDns: undefined, hostHosts: '127.0.0.1 localhost\n192.0.2.7 node' })
  expect(text).toContain('192.0.2.7 node\n')
  expect(text).toContain('192.0.2.9\tdb\n')
})

test.each<[string, Partial<Pod['spec']>, boolean, string]>([
  [
    'ClusterFirst without a cluster resolver is the node’s, less what only the node can reach',
    {},
    false,
    'search example.com corp.example\nnameserver 192.0.2.1\noptions timeout:2 rotate\n',
  ],
  [
    'ClusterFirst',
    { dnsPolicy: 'ClusterFirst' },
    true,
    'search shop.svc.cluster.local svc.cluster.local cluster.local example.com corp.example\nnameserver 10.96.0.10\noptions ndots:5\n',
  ],
  [
    'Default',
    { dnsPolicy: 'Default' },
    true,
    'search example.com corp.example\nnameserver 192.0.2.1\noptions timeout:2 rotate\n',
  ],
  [
    'ClusterFirst with the node’s network',
    { hostNetwork: true },
    true,
    'search example.com corp.example\nnameserver 127.0.0.1\nnameserver 192.0.2.1\noptions timeout:2 rotate\n',
  ],
  ['None', { dnsPolicy: 'None' }, true, ''],
  [
    'None with a dnsConfig',
    {
      dnsPolicy: 'None',
      dnsConfig: {
        nameservers: ['192.0.2.53'],
        searches: ['a.example'],
        options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
      },
    },
    true,
    'search a.example\nnameserver 192.0.2.53\noptions ndots:2 edns0\n',
  ],
  [
    'a dnsConfig that wins over the policy, without doubles',
    {
      dnsConfig: { nameservers: ['10.96.0.10', '192.0.2.2', '192.0.2.3', '192.0.2.4'], options: [{ name: 'ndots', value: '1' }] },
    },
    true,
    'search shop.svc.cluster.local svc.cluster.local cluster.local example.com corp.example\nnameserver 10.96.0.10\nnameserver 192.0.2.2\nnameserver 192.0.2.3\noptions ndots:1\n',
  ],
])('the resolver of %s', (_, spec, hasDns, expected) => {
  expect(resolvConf(pod(spec), host, hasDns ? dns : undefined)).toBe(expected)
})

test('files are written once, and rewritten in place when the address changes', async () => {
  const etc = join(folder, 'etc')
  const out = join(folder, 'pod')
  const mounts = await podFiles(pod(), '10.85.3.2', out, { etc })
  expect(mounts.map(({ target }) => target)).toEqual(['/etc/hosts', '/etc/resolv.conf', '/etc/hostname'])
  expect(await readFile(join(out, 'hostname'), 'utf8')).toBe('web-1\n')
  const first = await stat(join(out, 'hosts'))
  await podFiles(pod(), '10.85.3.2', out, { etc })
  expect((await stat(join(out, 'hosts'))).mtimeMs).toBe(first.mtimeMs)
  await podFiles(pod(), '10.85.3.9', out, { etc })
  expect((await stat(join(out, 'hosts'))).ino).toBe(first.ino)
  expect(await readFile(join(out, 'hosts'), 'utf8')).toContain('10.85.3.9\tweb-1\n')
})

test('where the node asks its own small resolver pods get the servers behind it', async () => {
  await writeFile(join(folder, 'resolv.conf'), 'nameserver 127.0.0.53\n')
  await writeFile(join(folder, 'resolved.conf'), 'nameserver 192.0.2.1\n')
  await podFiles(pod(), '10.85.3.2', join(folder, 'pod'), { etc: folder, resolvedConf: join(folder, 'resolved.conf') })
  expect(await readFile(join(folder, 'pod', 'resolv.conf'), 'utf8')).toBe('nameserver 192.0.2.1\n')
})

test('a long pod name is cut to a host name that the kernel takes', () => {
  const name = `${'a'.repeat(62)}.b`
  expect(hostnameOf({ ...pod(), metadata: { name } })).toBe('a'.repeat(62))
  expect(hostnameOf(pod({ hostname: 'db' }))).toBe('db')
})
