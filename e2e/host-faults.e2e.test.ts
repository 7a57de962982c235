// The host's disks run full, and its clock jumps.
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../deploy/steps.ts'
import { shellPod } from './example-image.ts'
import { type FaultBed, makeBed } from './fault-bed.ts'
import { eventually, ok } from './machine.ts'

let bed: FaultBed
let clock: string
beforeAll(async () => {
  bed = await makeBed({
    name: 'host',
    engineMiB: 256,
    prepare: async (m) => {
      const folder = join(m.dataDir, 'agent')
      mkdirSync(folder, { recursive: true })
      await run('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', folder])
      clock = join(m.folder, 'clock')
      m.env['SKIFF_CLOCK'] = clock
    },
  })
})
afterAll(async () => {
  await bed[Symbol.asyncDispose]()
})

/** Writes until nothing more fits. */
function fill(folder: string): string {
  const file = join(folder, 'fill')
  for (let free = Number.POSITIVE_INFINITY; ; ) {
    const { bavail, bsize } = statfsSync(folder)
    if (bavail === 0 || bavail * bsize >= free) return file
    free = bavail * bsize
    try {
      writeFileSync(file, Buffer.alloc(free), { flag: 'a' })
    } catch {
      // Nearly all of it fitted.
    }
  }
}

async function pressure(status: 'True' | 'False'): Promise<void> {
  await eventually(
    `DiskPressure is ${status}`,
    async (tell) => {
      const text = await bed.kubectl('get', 'node', 'one', '-o', 'json')
      tell(text)
      const { spec, status: is } = JSON.parse(text)
      const hasTaint = JSON.stringify(spec.taints ?? []).includes('node.kubernetes.io/disk-pressure')
      const condition = is.conditions.find(({ type }: { readonly type: string }) => type === 'DiskPressure')
      return condition?.status === status && hasTaint === (status === 'True') ? true : undefined
    },
    40_000,
  )
}

test.each([
  ['of the agent’s state', (): string => join(bed.m.dataDir, 'agent')],
  ['of the Docker Engine', (): string => join(bed.m.folder, 'engine/data')],
])('a disk %s that is full loses nothing; deletions work, new pods wait', async (what, folder) => {
  const victim = await bed.victim('web')
  const name = what.includes('agent') ? 'state' : 'engine'
  await bed.apply(shellPod(`goes-${name}`, 'exec sleep 100000'))
  await bed.kubectl('wait', '--for=condition=Ready', `pod/goes-${name}`, '--timeout=60s')
  await bed.harmless({
    fault: `disk ${what} full; a pod deleted, a container killed, the agent killed and started meanwhile`,
    mayRestart: ({ id, pod }) => id === victim.id || pod === `default/goes-${name}`,
    mayGo: ({ key }) => key === `default/goes-${name}`,
    limitMs: 120_000,
    act: async ({ isOver }) => {
      const file = fill(folder())
      try {
        await pressure('True')
        await bed.kubectl('delete', 'pod', `goes-${name}`, '--timeout=60s')
        await bed.apply(shellPod(`comes-${name}`, 'exec sleep 100000'))
        ok(await bed.m.docker('kill', victim.id))
        bed.killAgent()
        ok(await bed.m.ctl('up'))
        const why = await bed.kubectl(
          'get',
          'pod',
          `comes-${name}`,
          '-o',
          'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}',
        )
        expect(why).toMatch(/taint/)
        const left = ok(await bed.m.docker('ps', '-aq', '--filter', `name=_goes-${name}_`))
        expect(left).toBe('')
      } finally {
        rmSync(file)
        isOver()
      }
      await pressure('False')
    },
  })
})

test.each([
  ['ahead', 3_600_000],
  ['back', -3_600_000],
])('the clock of all of Skiff’s processes jumps an hour %s', async (what, offsetMs) => {
  await bed.harmless({
    fault: `clock of agent and control plane an hour ${what}, for 8 s, and right again`,
    act: async () => {
      writeFileSync(clock, String(offsetMs))
      await bed.apply(shellPod(`made-${what}`, 'exec sleep 100000'))
      await bed.kubectl('wait', '--for=condition=Ready', `pod/made-${what}`, '--timeout=30s')
      await new Promise((resolve) => setTimeout(resolve, 6_000))
      rmSync(clock)
    },
  })
  const events = await bed.kubectl('get', 'events', '-A', '-o', 'jsonpath={.items[*].reason}')
  expect(events).not.toMatch(/TaintManagerEviction|NodeNotReady/)
})
