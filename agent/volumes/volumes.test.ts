import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { seededRandom } from '../../lib/random.ts'
import type { PodVolumes } from '../pods/deps.ts'
import type { Pod, Volume } from '../pods/pod-types.ts'
import { TestDesired, testPod } from '../pods/testing/doubles.ts'
import type { Mounter } from './mounts.ts'
import { createVolumes } from './volumes.ts'

const opts = { signal: new AbortController().signal }
let root: string
let volumes: PodVolumes
let desired: TestDesired
let mounts: { readonly kind: string; readonly target: string }[]

/** Remembers mounts and makes none. */
const pretendMounter = (): Mounter => ({
  async tmpfs(target) {
    mounts.push({ kind: 'tmpfs', target })
  },
  async bind(_source, target) {
    mounts.push({ kind: 'bind', target })
  },
  async unmount(target) {
    mounts = mounts.filter((one) => one.target !== target)
  },
  async below(folder) {
    return mounts.map(({ target }) => target).filter((target) => target === folder || target.startsWith(`${folder}/`))
  },
})

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'skiff-volumes-'))
  mounts = []
  desired = new TestDesired()
  const node = { name: 'node-1', ip: '192.0.2.1', cpuMilli: 4000, memoryBytes: 8e9 }
  volumes = createVolumes({
    root,
    node,
    clock: new FakeClock(),
    random: seededRandom(1),
    log: silentLog,
    mounter: pretendMounter(),
  })
})
afterEach(async () => await rm(root, { recursive: true, force: true }))

const podWith = (volume: Omit<Volume, 'name'>, more: Partial<Pod['spec']> = {}): Pod =>
  testPod({ volumes: [{ name: 'vol', ...volume }], ...more })

async function prepared(pod: Pod): Promise<string> {
  return (await volumes.prepare(pod, desired, opts)).get('vol') ?? ''
}

function putConfigMap(data: Readonly<Record<string, string>>, version = '1'): void {
  const metadata = { name: 'settings', namespace: 'default', resourceVersion: version }
  desired.configMaps.set('default/settings', { apiVersion: 'v1', kind: 'ConfigMap', metadata, data })
}

function putSecret(data: Readonly<Record<string, string>>): void {
  const encoded = Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]))
  desired.secrets.set('default/login', {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'login', namespace: 'default' },
    data: encoded,
  })
}

test('an emptyDir is a folder that anyone may write, with the group of fsGroup', async () => {
  const folder = await prepared(podWith({ emptyDir: {} }))
  expect((await stat(folder)).mode & 0o7777).toBe(0o777)
  const gid = process.getgid?.() ?? 0
  const shared = await prepared(podWith({ emptyDir: {} }, { securityContext: { fsGroup: gid } }))
  expect(await stat(shared)).toMatchObject({ gid })
  expect((await stat(shared)).mode & 0o7777).toBe(0o2777)
})

test('an emptyDir in memory is a tmpfs, mounted once', async () => {
  const pod = podWith({ emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } })
  const folder = await prepared(pod)
  await prepared(pod)
  expect(mounts).toEqual([{ kind: 'tmpfs', target: folder }])
})

test('a ConfigMap becomes files by links over one switch, with its modes', async () => {
  putConfigMap({ level: 'debug', 'a.conf': 'x=1\n' })
  const folder = await prepared(podWith({ configMap: { name: 'settings', defaultMode: 0o640 } }))
  expect(await readFile(join(folder, 'level'), 'utf8')).toBe('debug')
  expect(await readFile(join(folder, 'a.conf'), 'utf8')).toBe('x=1\n')
  expect((await stat(join(folder, 'level'))).mode & 0o777).toBe(0o640)
  expect(await readlink(join(folder, 'level'))).toBe('..data/level')
  expect((await lstat(join(folder, '..data'))).isSymbolicLink()).toBe(true)
})

test('a change is switched to in one step; keys that are gone go, and the old version too', async () => {
  putConfigMap({ level: 'debug', old: '1' })
  const pod = podWith({ configMap: { name: 'settings' } })
  const folder = await prepared(pod)
  const before = await readlink(join(folder, '..data'))
  await volumes.refresh(pod, desired, opts)
  expect(await readlink(join(folder, '..data'))).toBe(before)
  putConfigMap({ level: 'info', fresh: '2' }, '2')
  await volumes.refresh(pod, desired, opts)
  expect(await readlink(join(folder, '..data'))).not.toBe(before)
  expect(await readFile(join(folder, 'level'), 'utf8')).toBe('info')
  const names = (await readdir(folder)).filter((name) => !name.startsWith('..'))
  expect(names.sort()).toEqual(['fresh', 'level'])
  expect((await readdir(folder)).filter((name) => name.startsWith('..')).length).toBe(2)
})

test('items choose keys, paths and modes', async () => {
  putConfigMap({ level: 'debug', other: 'x' })
  const items = [{ key: 'level', path: 'etc/app/level', mode: 0o400 }]
  const folder = await prepared(podWith({ configMap: { name: 'settings', items } }))
  expect(await readFile(join(folder, 'etc/app/level'), 'utf8')).toBe('debug')
  expect((await stat(join(folder, 'etc/app/level'))).mode & 0o777).toBe(0o400)
  expect((await readdir(folder)).filter((name) => !name.startsWith('..'))).toEqual(['etc'])
})

test.each([
  [{ configMap: { name: 'missing' } }, 'MountVolume.SetUp failed for volume "vol" : configmap "missing" not found'],
  [{ secret: { secretName: 'missing' } }, 'MountVolume.SetUp failed for volume "vol" : secret "missing" not found'],
  [{ configMap: { name: 'settings', items: [{ key: 'no', path: 'no' }] } }, 'references non-existent config key: no'],
  [
    { configMap: { name: 'settings', items: [{ key: 'level', path: '../level' }] } },
    '"../level" can\'t be the path of a file in a volume',
  ],
  [{ configMap: { name: 'settings', items: [{ key: 'level', path: '..data' }] } }, '"..data" can\'t be the path'],
  [
    {
      configMap: {
        name: 'settings',
        items: [
          { key: 'level', path: 'a' },
          { key: 'level', path: 'a/b' },
        ],
      },
    },
    '"a" would be a file and a folder',
  ],
  [{ hostPath: { path: '/no/such/place', type: 'Directory' } }, 'hostPath type check failed: /no/such/place is not a directory'],
  [{ hostPath: { path: 'relative' } }, 'must be absolute'],
  [{ nfs: { server: 'x' } }, 'volumes of kind nfs are not supported'],
] as const)('%j is refused by name', async (volume, message) => {
  putConfigMap({ level: 'debug' })
  await expect(prepared(podWith(volume))).rejects.toThrow(message)
})

test('what is optional may be missing', async () => {
  const folder = await prepared(podWith({ configMap: { name: 'missing', optional: true } }))
  expect((await readdir(folder)).filter((name) => !name.startsWith('..'))).toEqual([])
})

test('a secret lies in memory', async () => {
  putSecret({ password: 'hunter2' })
  const folder = await prepared(podWith({ secret: { secretName: 'login', defaultMode: 0o400 } }))
  expect(mounts).toEqual([{ kind: 'tmpfs', target: folder }])
  expect(await readFile(join(folder, 'password'), 'utf8')).toBe('hunter2')
})

test('a projected volume joins ConfigMap, Secret and fields of the pod', async () => {
  putConfigMap({ level: 'debug' })
  putSecret({ password: 'hunter2' })
  const sources = [
    { configMap: { name: 'settings' } },
    { secret: { name: 'login' } },
    { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
  ]
  const pod = { ...podWith({ projected: { sources } }), metadata: { ...testPod().metadata, labels: { app: 'web', tier: 'a"b' } } }
  const folder = await prepared(pod)
  expect(await readFile(join(folder, 'labels'), 'utf8')).toBe('app="web"\ntier="a\\"b"')
  expect((await readdir(folder)).filter((name) => !name.startsWith('..')).sort()).toEqual(['labels', 'level', 'password'])
})

test('hostPath makes what its type says', async () => {
  const place = join(root, 'host')
  expect(await prepared(podWith({ hostPath: { path: join(place, 'dir'), type: 'DirectoryOrCreate' } }))).toBe(join(place, 'dir'))
  await prepared(podWith({ hostPath: { path: join(place, 'file'), type: 'FileOrCreate' } }))
  expect((await stat(join(place, 'file'))).isFile()).toBe(true)
  await expect(prepared(podWith({ hostPath: { path: join(place, 'file'), type: 'Socket' } }))).rejects.toThrow(
    'is not a socket file',
  )
})

test('cleaning up follows no link out and unmounts first', async () => {
  const outside = join(root, 'outside')
  await mkdir(outside)
  await writeFile(join(outside, 'precious'), 'x')
  const folder = await prepared(podWith({ emptyDir: { medium: 'Memory' } }))
  await symlink(outside, join(folder, 'link'))
  expect(await volumes.known(opts)).toContain('uid-1')
  await volumes.cleanUp('uid-1', opts)
  expect(mounts).toEqual([])
  expect(await readFile(join(outside, 'precious'), 'utf8')).toBe('x')
  expect(await volumes.known(opts)).not.toContain('uid-1')
})

test('nothing is removed beneath what can not be unmounted', async () => {
  const folder = await prepared(podWith({ emptyDir: {} }))
  await writeFile(join(folder, 'kept'), 'x')
  mounts.push({ kind: 'tmpfs', target: folder })
  const stuck = createVolumes({
    root,
    node: { name: 'n', ip: '', cpuMilli: 1, memoryBytes: 1 },
    clock: new FakeClock(),
    random: seededRandom(1),
    log: silentLog,
    mounter: { ...pretendMounter(), unmount: async () => undefined },
  })
  await expect(stuck.cleanUp('uid-1', opts)).rejects.toThrow('still mounted')
  expect(await readFile(join(folder, 'kept'), 'utf8')).toBe('x')
})

test('a UID that is no name of a folder is refused', async () => {
  await expect(volumes.cleanUp('../etc', opts)).rejects.toThrow("can't be the UID of a pod")
})

test.each(['../up', '/etc', 'a/../../b', ''])('the sub path "%s" is refused', async (subPath) => {
  const folder = await prepared(podWith({ emptyDir: {} }))
  const place = { podUid: 'uid-1', container: 'web', index: 0 }
  await expect(volumes.subPath(place, folder, subPath, opts)).rejects.toThrow('must be relative')
})

test('a sub path that a link leads out of the volume is refused, one inside is made and bound', async () => {
  const folder = await prepared(podWith({ emptyDir: {} }))
  await symlink('/etc', join(folder, 'escape'))
  await mkdir(join(folder, 'real'))
  await symlink('real', join(folder, 'alias'))
  const place = { podUid: 'uid-1', container: 'web', index: 0 }
  await expect(volumes.subPath(place, folder, 'escape/passwd', opts)).rejects.toThrow('leads out of its volume')
  const target = await volumes.subPath(place, folder, 'alias/deep/er', opts)
  expect((await stat(join(folder, 'real/deep/er'))).isDirectory()).toBe(true)
  expect(mounts).toEqual([{ kind: 'bind', target }])
})

test('last words are kept for the newest attempts, and read within a bound', async () => {
  await volumes.terminationLog('uid-1', 'web', 0, opts)
  await volumes.terminationLog('uid-1', 'web', 1, opts)
  const path = await volumes.terminationLog('uid-1', 'web', 2, opts)
  expect((await stat(path)).mode & 0o777).toBe(0o666)
  await writeFile(path, 'x'.repeat(10_000))
  expect((await volumes.lastWords('uid-1', 'web', 2, opts)).length).toBe(4096)
  expect(await volumes.lastWords('uid-1', 'web', 0, opts)).toBe('')
  expect((await readdir(join(path, '..'))).length).toBe(2)
})
