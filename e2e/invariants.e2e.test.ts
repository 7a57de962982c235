// The checker must see harm when there is some: each kind is done by hand, past Skiff, while the agent is frozen.
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { prepareImage } from './example-image.ts'
import { table } from './invariants/rows.ts'
import { type Checker, noHarm, startChecker } from './invariants.ts'
import { createMachine, type Machine, ok, root } from './machine.ts'

let m: Machine
let checker: Checker
beforeAll(async () => {
  m = await createMachine('invariants')
  await prepareImage(m)
  ok(await m.ctl('up'))
  ok(await m.ctl('apply', '-f', join(root, 'manifests/hello.yaml')))
  checker = await startChecker(m)
})
afterAll(async () => {
  await checker[Symbol.asyncDispose]()
  await m[Symbol.asyncDispose]()
})

const agentPid = async (): Promise<number> => Number(/agent: running \(pid (\d+)\)/.exec((await m.ctl('status')).stdout)?.[1])
/** What happens while the agent can do nothing about it. */
async function frozen(run: () => Promise<unknown>): Promise<void> {
  const pid = await agentPid()
  process.kill(pid, 'SIGSTOP')
  try {
    await run()
    await new Promise((resolve) => setTimeout(resolve, 1_000)) // Some samples.
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}
/** Of the three pods one that has not crashed too often yet: the next restart of such a one would have to wait. */
const web = async (index: 0 | 1 | 2): Promise<{ readonly id: string; readonly podUid: string }> => {
  const all = (await checker.look()).containers?.filter(({ container }) => container === 'web') ?? []
  const found = all.toSorted((a, b) => a.podUid.localeCompare(b.podUid))[index]
  if (found === undefined) throw new Error('no container of the application')
  return found
}
const label = ['--label', 'io.skiff.owner=somebody']
const run = async (name: string): Promise<string> =>
  ok(await m.docker('run', '-d', '--name', name, ...label, '--net=none', '--entrypoint=sleep', 'skiff/hello:1', '60')).trim()

test('nothing is found where nothing happens', async () => {
  const row = await checker.during({ fault: 'none', act: async () => undefined })
  expect(row).toMatchObject({ ...noHarm, problems: [] })
  expect(row.seconds).toBe(0)
})

test('a container that is stopped is missed, and its restart is one that nobody needed', async () => {
  const { id } = await web(0)
  const row = await checker.during({ fault: 'a killed container', act: () => frozen(() => m.docker('kill', id)) })
  expect(row).toMatchObject({ ...noHarm, restarted: 1 })
  expect(row.seconds).toBeGreaterThan(0)
  const { id: next } = await web(1)
  const excused = await checker.during({
    fault: 'the same, excused',
    mayRestart: (container) => container.id === next,
    act: () => frozen(() => m.docker('kill', next)),
  })
  expect(excused).toMatchObject({ ...noHarm, problems: [] })
})

test('a container that does not come back is lost', async () => {
  const { id } = await web(2)
  const pid = await agentPid()
  process.kill(pid, 'SIGSTOP')
  try {
    const row = await checker.during({
      fault: 'a lost container',
      limitMs: 3_000,
      act: async () => void ok(await m.docker('kill', id)),
    })
    expect(row).toMatchObject({ lost: 1, restarted: 1, duplicate: 0, orphan: 0, seconds: undefined })
    expect(table([row])).toContain('| a lost container | 1 | 0 | 0 | 1 | not in time |')
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await checker.during({ fault: 'back', act: async () => undefined })
})

test('the same container started again is a restart', async () => {
  const { id } = await web(0)
  const row = await checker.during({
    fault: 'docker restart',
    act: () => frozen(async () => ok(await m.docker('restart', '-t', '0', id))),
  })
  expect(row).toMatchObject({ restarted: 1, lost: 0 })
})

test('a second container of the same pod and name is seen, however soon it is gone', async () => {
  const { podUid } = await web(1)
  const row = await checker.during({
    fault: 'a duplicate',
    act: () =>
      frozen(async () => {
        const name = (await m.docker('ps', '--filter', `name=skiff_web_.*${podUid}`, '--format', '{{.Names}}')).stdout.trim()
        const id = await run(name.replace(/_\d+$/, '_99'))
        await new Promise((resolve) => setTimeout(resolve, 1_000))
        ok(await m.docker('rm', '-f', id))
      }),
  })
  expect(row).toMatchObject({ ...noHarm, duplicate: 1 })
})

test('a container of no pod is an orphan', async () => {
  const row = await checker.during({
    fault: 'an orphan',
    limitMs: 3_000,
    act: async () => void (await run('skiff_web_nobody_default_00000000-0000-4000-8000-000000000000_0')),
  })
  expect(row).toMatchObject({ ...noHarm, orphan: 1, seconds: undefined })
})
