import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Assignments, ServiceTable, Welcome } from '../../api/proto/agent.ts'
import { FakeClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { type CheckpointFiles, CheckpointFolder } from './checkpoint.ts'
import { type DesiredStore, openDesiredStore } from './desired-store.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-desired-'))
})
afterEach(async () => {
  for (const store of opened.splice(0)) await store.flush()
  await rm(folder, { recursive: true, force: true })
})

const opened: DesiredStore[] = []
async function open(clock = new FakeClock()): Promise<DesiredStore> {
  const store = await openDesiredStore({ folder, clock, log: silentLog })
  opened.push(store)
  return store
}
const podJson = (uid: string, spec: object = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { uid, name: uid, namespace: 'default' },
    spec: { containers: [{ name: 'c', envFrom: [{ configMapRef: { name: 'settings' } }] }], ...spec },
  })
const pods = (...uids: string[]): { uid: string; podJson: string }[] => uids.map((uid) => ({ uid, podJson: podJson(uid) }))
const settings = (value: string): { key: string; objectJson: string } => ({
  key: 'configmap/default/settings',
  objectJson: JSON.stringify({ metadata: { name: 'settings', namespace: 'default' }, data: { value } }),
})
const complete = (revision: bigint, uids: string[], configs = [settings('1')]): Assignments =>
  Assignments.create({ complete: true, resultsIn: `r${revision}`, revision, pods: pods(...uids), configs })
const welcome = (over: Partial<Welcome> = {}): Welcome =>
  Welcome.create({ epoch: 7n, clusterUid: 'here', podCidr: '10.42.3.0/24', serviceCidr: 's', clusterCidr: 'c', ...over })
const uidsOf = (store: DesiredStore): string[] =>
  store
    .pods()
    .map(({ metadata }) => metadata.uid ?? '')
    .sort()

test('nothing is known until a complete set came, and a checkpoint brings it all back', async () => {
  const store = await open()
  expect(store.isKnown).toBe(false)
  store.welcome(welcome())
  await store.flush()
  expect((await open()).isKnown).toBe(false)
  store.apply(complete(10n, ['a', 'b']))
  store.setServices(ServiceTable.create({ revision: 5n, services: [{ key: 'default/web', clusterIp: '10.43.0.9' }] }))
  expect(store.isKnown).toBe(true)
  await store.flush()

  const again = await open()
  expect(again.isKnown).toBe(true)
  expect(uidsOf(again)).toEqual(['a', 'b'])
  expect(again.configMap('default', 'settings')?.data).toEqual({ value: '1' })
  expect(again.services?.services[0]?.clusterIp).toBe('10.43.0.9')
  expect(again.network.podCidr).toBe('10.42.3.0/24')
  expect(again.position).toMatchObject({ clusterUid: 'here', epoch: 7n, revision: 10n, resultsIn: 'r10' })
})

test('what holds secrets is readable by the owner only', async () => {
  const store = await open()
  store.apply(complete(1n, ['a']))
  await store.flush()
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  for (const file of files.filter((one) => one.isFile()))
    expect((await stat(join(file.parentPath, file.name))).mode & 0o777).toBe(0o600)
  expect(files.length).toBeGreaterThan(3)
})

test('increments chain; a break changes nothing', async () => {
  const store = await open()
  expect(store.apply(Assignments.create({ appliesTo: '', resultsIn: 'x', pods: pods('z') })).outcome).toBe('brokenChain')
  store.apply(complete(10n, ['a', 'b']))
  const increment = Assignments.create({ appliesTo: 'r10', resultsIn: 'r11', revision: 11n, pods: pods('c'), removedPods: ['a'] })
  expect(store.apply(increment).outcome).toBe('applied')
  expect(uidsOf(store)).toEqual(['b', 'c'])
  expect(store.isRemoved('a')).toBe(true)
  expect(store.apply(increment).outcome).toBe('brokenChain')
  expect(store.position.resultsIn).toBe('r11')
})

test('a removal is remembered across a restart until nothing is left of the pod', async () => {
  const store = await open()
  store.apply(complete(10n, ['a', 'b']))
  store.apply(Assignments.create({ appliesTo: 'r10', resultsIn: 'r11', revision: 11n, removedPods: ['a'] }))
  await store.flush()
  const again = await open()
  expect(again.isRemoved('a')).toBe(true)
  expect(again.pod('a')).toBeUndefined()
  again.forget('a')
  await again.flush()
  expect((await open()).isRemoved('a')).toBe(false)
})

test('a pod left out of a newer complete set is gone; a stranger is not', async () => {
  const store = await open()
  store.apply(complete(10n, ['a', 'b']))
  store.apply(complete(12n, ['b']))
  expect(store.isRemoved('a')).toBe(true)
  expect(store.isRemoved('stranger')).toBe(false)
})

test('a disk that takes nothing is told of, and what was not written is when it does', async () => {
  const disk = new CheckpointFolder(folder)
  let isFull = true
  const files: CheckpointFiles = {
    load: async () => await disk.load(),
    write: async (name, text) => {
      if (isFull) throw new Error('ENOSPC: no space left on device, write')
      await disk.write(name, text)
    },
    remove: async (name) => await disk.remove(name),
  }
  const clock = new FakeClock()
  const store = await openDesiredStore({ folder: files, clock, log: silentLog })
  expect(store.writeError).toBeUndefined()
  store.welcome(welcome())
  store.apply(complete(10n, ['a', 'b']))
  await store.flush()
  expect(store.writeError).toContain('ENOSPC')
  expect(uidsOf(store)).toEqual(['a', 'b'])
  expect((await disk.load()).files.size).toBe(0)
  isFull = false
  clock.step(2_000)
  await store.flush()
  expect(store.writeError).toBeUndefined()
  expect(uidsOf(await open())).toEqual(['a', 'b'])
})

test('a pod that was started before it came to the disk, and is not wanted any more, is gone', async () => {
  const store = await open()
  store.spare([])
  store.apply(complete(10n, ['a']))
  await store.flush()
  const again = await open()
  expect(again.mustSpare).toBe(false)
  expect(again.isRemoved('unwritten')).toBe(false)
  again.apply(complete(12n, ['a']))
  expect(again.isRemoved('unwritten')).toBe(true)
  expect(again.isRemoved('a')).toBe(false)
})

test('files that are newer than the position break the chain, so that a pod that is gone by then is known to be', async () => {
  const store = await open()
  store.spare([])
  store.apply(complete(10n, ['a']))
  await store.flush()
  const position = await readFile(join(folder, 'position'), 'utf8')
  store.apply(Assignments.create({ appliesTo: 'r10', resultsIn: 'r11', revision: 11n, pods: pods('b') }))
  await store.flush()
  expect((await open()).position.resultsIn).toBe('r11')
  await writeFile(join(folder, 'position'), position)
  const again = await open()
  expect(again.position).toMatchObject({ resultsIn: '', revision: 10n })
  expect(uidsOf(again)).toEqual(['a', 'b'])
  again.apply(complete(12n, ['a']))
  expect(again.isRemoved('b')).toBe(true)
})

test('a node without memory spares what it finds, for good', async () => {
  const store = await open()
  expect(store.mustSpare).toBe(true)
  store.apply(complete(10n, ['a']))
  store.apply(complete(11n, ['a']))
  expect(store.isRemoved('found')).toBe(false)
  store.spare(['found', 'a'])
  store.apply(complete(12n, ['a']))
  await store.flush()
  const again = await open()
  again.apply(complete(13n, ['a']))
  expect(again.isRemoved('found')).toBe(false)
  expect(again.isRemoved('other')).toBe(true)
  again.welcome(welcome({ incarnation: 'one' }))
  again.welcome(welcome({ incarnation: 'two' }))
  again.apply(complete(14n, ['a']))
  again.apply(complete(15n, ['a']))
  expect(again.isRemoved('other')).toBe(false)
})

test('what turns up after a node has spared what it found was begun by itself, and is gone with its pod', async () => {
  const store = await open()
  store.spare(['found'])
  store.apply(complete(10n, ['a']))
  expect([store.isRemoved('found'), store.isRemoved('overlooked')]).toEqual([false, true])
  // The other way round: told first, then looked.
  store.welcome(welcome({ incarnation: 'one' }))
  store.welcome(welcome({ incarnation: 'two' }))
  store.apply(complete(5n, []))
  expect([store.isRemoved('a'), store.isRemoved('overlooked')]).toEqual([false, false])
  store.spare(['a', 'later'])
  expect([store.isRemoved('a'), store.isRemoved('later'), store.isRemoved('overlooked')]).toEqual([false, false, true])
})

test('what cannot be read in a complete set is not gone', async () => {
  const store = await open()
  store.spare([])
  store.apply(complete(10n, ['a']))
  store.apply({ ...complete(11n, ['a']), pods: [...pods('a'), { uid: 'odd', podJson: '{' }] })
  expect(store.isRemoved('odd')).toBe(false)
})

test('a restored store stops nothing, and what it does not know goes on until it is named', async () => {
  const store = await open()
  store.apply(complete(100n, ['old', 'new']))
  store.apply(complete(50n, ['old', 'back']))
  expect(uidsOf(store)).toEqual(['back', 'new', 'old'])
  expect(store.configMap('default', 'settings')).toBeDefined()
  await store.flush()
  const again = await open()
  // It has caught up with the revision of before the restore and still does not know the pod.
  again.apply(complete(200n, ['back'], []))
  expect(uidsOf(again)).toEqual(['back', 'new'])
  expect(again.isRemoved('old')).toBe(true)
  expect(again.configMap('default', 'settings')).toBeDefined()
  again.apply(Assignments.create({ appliesTo: 'r200', resultsIn: 'r201', revision: 201n, removedPods: ['new'] }))
  expect(again.isRemoved('new')).toBe(true)
})

test('a foreign cluster and an older epoch are refused', async () => {
  const store = await open()
  expect(store.refusal(welcome())).toBeUndefined()
  store.welcome(welcome())
  expect(store.refusal(welcome({ clusterUid: 'there' }))).toContain('"there"')
  expect(store.refusal(welcome({ epoch: 6n }))).toContain('older than 7')
  expect(store.refusal(welcome({ epoch: 8n }))).toBeUndefined()
})

test('listeners hear of pods whose config changed', async () => {
  const store = await open()
  store.apply(complete(10n, ['a']))
  const heard: string[][] = []
  using _subscription = store.subscribe((uids) => heard.push([...uids]))
  store.apply(Assignments.create({ appliesTo: 'r10', resultsIn: 'r11', revision: 11n, configs: [settings('2')] }))
  store.apply(Assignments.create({ appliesTo: 'r11', resultsIn: 'r12', revision: 12n, configs: [settings('2')] }))
  expect(heard).toEqual([['a']])
  expect(store.configMap('default', 'settings')?.data).toEqual({ value: '2' })
})

test.each(['flipped', 'truncated', 'position lost'])(
  'a damaged checkpoint (%s) stops nothing and asks for a complete set',
  async (how) => {
    const store = await open()
    store.apply(complete(10n, ['a', 'b']))
    await store.flush()
    const victim = join(folder, how === 'position lost' ? 'position' : 'pods/a')
    const text = await readFile(victim, 'utf8')
    await writeFile(victim, how === 'truncated' ? text.slice(0, -5) : `${text.slice(0, -3)}#${text.slice(-2)}`)
    const again = await open()
    expect(again.position.resultsIn).toBe('')
    expect(uidsOf(again)).toEqual(how === 'position lost' ? ['a', 'b'] : ['b'])
    expect(again.isKnown).toBe(how !== 'position lost')
    again.apply(complete(11n, ['b']))
    expect(again.isRemoved('a')).toBe(false)
    expect(uidsOf(again)).toEqual(how === 'position lost' ? ['a', 'b'] : ['b'])
  },
)

test('an assignment that cannot be read is named, and the rest applies', async () => {
  const store = await open()
  const set = complete(10n, ['a'])
  set.pods.push(
    { uid: 'b', podJson: '{"metadata":{"uid":"x"}}' },
    { uid: '../../etc/passwd', podJson: podJson('../../etc/passwd') },
  )
  const applied = store.apply(set)
  expect(applied).toMatchObject({
    outcome: 'applied',
    problems: [expect.stringContaining('pod b'), expect.stringContaining('..')],
  })
  expect(uidsOf(store)).toEqual(['a'])
})

test('a folder that cannot be written is tried again', async () => {
  const clock = new FakeClock()
  const store = await open(clock)
  await writeFile(join(folder, 'pods'), 'in the way')
  store.apply(complete(10n, ['a']))
  await store.flush()
  await rm(join(folder, 'pods'))
  clock.step(3000)
  await store.flush()
  expect(uidsOf(await open())).toEqual(['a'])
})
