// Disks run full: the agent's own, and the Docker Engine's.
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { shellPod } from './example-image.ts'
import { type FaultBed, makeBed } from './fault-bed.ts'
import { eventually, ok, smallDisk } from './machine.ts'

let bed: FaultBed
beforeAll(async () => {
  bed = await makeBed({
    name: 'disk',
    engineDiskMiB: 96,
    prepare: async (m) => await smallDisk(join(m.dataDir, 'agent'), 16),
  })
})
afterAll(async () => {
  await bed[Symbol.asyncDispose]()
})

/** Leaves not a byte on the disk of this folder. Gives what makes room again. */
function fill(folder: string, name = 'filler'): () => void {
  const path = join(folder, name)
  const file = openSync(path, 'w')
  try {
    for (const size of [1 << 20, 4096, 1]) {
      const chunk = Buffer.alloc(size)
      for (;;) if (writeSync(file, chunk) < size) break
    }
  } catch (err) {
    if (!(err instanceof Error) || !err.message.includes('ENOSPC')) throw err
  } finally {
    closeSync(file)
  }
  return () => rmSync(path)
}

/** Of this node already, for the scheduler gives nothing to one whose disk is full. */
const boundPod = (name: string, spec: object = {}): string =>
  shellPod(name, 'exec sleep 100000', { spec: { nodeName: 'one', ...spec } })

const pressure = async (): Promise<string> =>
  await bed.kubectl('get', 'node', 'one', '-o', 'jsonpath={.status.conditions[?(@.type=="DiskPressure")]}')

const pressureIs = async (status: 'True' | 'False', text: string): Promise<boolean> =>
  await eventually(`DiskPressure is ${status}: ${text}`, async (tell) => {
    const now = await pressure()
    tell(now)
    return now.includes(`"status":"${status}"`) && now.includes(text) ? true : undefined
  })

const saysNoSpace = async (pod: string): Promise<string> =>
  await eventually(`an event of ${pod} says that there is no space left`, async (tell) => {
    const text = await bed.kubectl('get', 'events', '--field-selector', `involvedObject.name=${pod}`)
    tell(text)
    return /Warning.*no space left on device/.exec(text)?.[0]
  })

test('a full disk of the agent loses no container, deletions still work, and a kill -9 meanwhile is no worse', async () => {
  for (const name of ['goes', 'goes-later']) await bed.apply(shellPod(name, 'exec sleep 100000'))
  await bed.kubectl('wait', '--for=condition=Ready', 'pod/goes', 'pod/goes-later', '--timeout=60s')
  await bed.harmless({
    fault: "the agent's disk is full, it is killed (kill -9) meanwhile, pods deleted and made, until there is room",
    mayRestart: ({ pod }) => pod.startsWith('default/goes'),
    mayGo: ({ key }) => key.startsWith('default/goes'),
    alsoWhen: async () => (await pressure()).includes('"status":"False"'),
    limitMs: 90_000,
    act: async ({ isOver }) => {
      const folder = join(bed.m.dataDir, 'agent')
      const makeRoom = [fill(folder)]
      await bed.kubectl('delete', 'pod', 'goes', '--timeout=30s')
      makeRoom.push(fill(folder, 'what-the-pod-left'))
      await bed.apply(boundPod('came'))
      await saysNoSpace('came')
      await pressureIs('True', 'the agent cannot write its state: ENOSPC')
      bed.killAgent()
      ok(await bed.m.ctl('up'))
      await bed.kubectl('delete', 'pod', 'goes-later', '--timeout=60s')
      await pressureIs('True', '0 MiB left')
      for (const make of makeRoom) make()
      isOver()
    },
  })
  expect(await bed.kubectl('get', 'pods', '-o', 'jsonpath={.items[*].metadata.name}')).toBe('came')
})

test('a full disk of the engine is told, costs what runs nothing, and what was to be made is made when there is room', async () => {
  const victim = await bed.victim('web')
  await bed.harmless({
    fault: "the Docker Engine's disk is full, a container ends and a pod comes meanwhile, until there is room",
    mayRestart: ({ id }) => id === victim.id,
    alsoWhen: async () => (await pressure()).includes('"status":"False"'),
    limitMs: 90_000,
    act: async ({ isOver }) => {
      const makeRoom = fill(join(bed.m.folder, 'engine/data'))
      ok(await bed.m.docker('kill', victim.id))
      await bed.apply(boundPod('late'))
      await saysNoSpace('late')
      await pressureIs('True', '0 MiB left')
      expect(await bed.m.get('http://127.0.0.1:30080/')).toMatch(/^Hello/)
      makeRoom()
      isOver()
    },
  })
})
