// The agent, its state folder, the control plane and the host fail; Docker goes on.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { shellPod } from './example-image.ts'
import { type FaultBed, makeBed } from './fault-bed.ts'
import { eventually, ok, root } from './machine.ts'

let bed: FaultBed
const clockFolder = mkdtempSync(join(tmpdir(), 'skiff-e2e-clocks-'))
/** By how many milliseconds the wall clock of a program is off; no such file: not at all. */
const clockFile = (whose: 'control-plane' | 'agent'): string => join(clockFolder, whose)
beforeAll(async () => {
  bed = await makeBed({
    name: 'agent',
    prepare: async ({ env }) => void Object.assign(env, { SKIFF_CLOCK: clockFile('control-plane') }),
  })
})
afterAll(async () => {
  await bed[Symbol.asyncDispose]()
  rmSync(clockFolder, { recursive: true })
})

const up = async (): Promise<void> => void ok(await bed.m.ctl('up'))
const pidOf = async (what: 'agent' | 'control plane'): Promise<number> =>
  Number(new RegExp(`${what}: running \\(pid (\\d+)\\)`).exec((await bed.m.ctl('status')).stdout)?.[1])
const checkpoint = (): string => join(bed.m.dataDir, 'agent', 'desired')

test('an agent that is killed and started again', async () => {
  await bed.harmless({
    fault: 'agent kill -9, started again',
    act: async () => {
      bed.killAgent()
      await up()
    },
  })
})

test.each(['deleted', 'truncated', 'nonsense'])('an agent whose checkpoint is %s', async (what) => {
  await bed.harmless({
    fault: `agent kill -9, its state ${what === 'nonsense' ? 'overwritten with nonsense' : what}`,
    act: async () => {
      bed.killAgent()
      const files = (await readdir(checkpoint(), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
      expect(files.length).toBeGreaterThan(3)
      if (what === 'deleted') rmSync(checkpoint(), { recursive: true })
      else for (const file of files) writeFileSync(join(file.parentPath, file.name), what === 'truncated' ? '' : '{"no": sense')
      await up()
    },
  })
})

test('an agent whose checkpoint is from before: what came since is adopted, what went meanwhile is removed', async () => {
  const old = join(bed.m.folder, 'old')
  await bed.apply(shellPod('goes', 'exec sleep 100000'))
  await bed.kubectl('wait', '--for=condition=Ready', 'pod/goes', '--timeout=60s')
  cpSync(checkpoint(), old, { recursive: true })
  await bed.apply(shellPod('came', 'exec sleep 100000'))
  await bed.kubectl('wait', '--for=condition=Ready', 'pod/came', '--timeout=60s')
  await bed.harmless({
    fault: 'agent kill -9, its state replaced by an old copy',
    mayRestart: ({ pod }) => pod === 'default/goes',
    mayGo: ({ key }) => key === 'default/goes',
    act: async () => {
      bed.killAgent()
      await bed.kubectl('delete', 'pod', 'goes', '--force', '--grace-period=0', '--wait=false')
      rmSync(checkpoint(), { recursive: true })
      cpSync(old, checkpoint(), { recursive: true })
      await up()
    },
  })
})

test('with the control plane away a crashed container is restarted, and nothing else', async () => {
  const victim = await bed.victim('web')
  const before = await bed.election()
  await bed.harmless({
    fault: 'control plane kill -9, a container crashes meanwhile',
    mayRestart: ({ id }) => id === victim.id,
    act: async () => {
      process.kill(await pidOf('control plane'), 'SIGKILL')
      ok(await bed.m.docker('kill', victim.id))
      await eventually('another container instead', async (tell) => {
        const { containers = [] } = await bed.checker.look()
        tell(JSON.stringify(containers, null, 1))
        const same = containers.filter(({ podUid, container }) => podUid === victim.podUid && container === 'web')
        return same.some(({ id, state }) => state === 'running' && id !== victim.id) ? true : undefined
      })
      await up()
    },
  })
  // Until the lease of the killed one ends, the node goes on without a leader.
  await eventually('a new leader', async (tell) => {
    const now = await bed.election()
    tell(now)
    return now !== '' && now !== before ? true : undefined
  })
})

/** What a jump of a clock must leave as it is: since when who leads, is ready and serves. */
async function standing(): Promise<string> {
  const ready = '.status.conditions[?(@.type=="Ready")]'
  const since = `jsonpath={range .items[*]}{.metadata.name} {${ready}.status} {${ready}.lastTransitionTime}{"\\n"}{end}`
  return [
    await bed.election(),
    await bed.kubectl('get', 'nodes', '-o', since),
    await bed.kubectl('get', 'pods', '-n', 'hello', '-o', since),
    await bed.kubectl('get', 'nodes', '-o', 'jsonpath={.items[*].spec.taints}'),
    await bed.kubectl('get', 'endpointslices', '-n', 'hello', '-o', 'jsonpath={.items[*].endpoints}'),
  ].join('\n')
}

test.each(['control-plane', 'agent'] as const)(
  'the clock of the %s jumps an hour ahead, and then two hours back',
  async (whose) => {
    if (whose === 'agent') {
      bed.killAgent()
      ok(
        await bed.m.run(process.execPath, [join(root, 'dist/programs/ctl.mjs'), 'up'], {
          env: { SKIFF_CLOCK: clockFile(whose) },
        }),
      )
    }
    const victim = await bed.victim('web')
    await bed.harmless({
      fault: `clock of the ${whose === 'agent' ? 'agent' : 'control plane'} an hour ahead, then two hours back, a container killed meanwhile`,
      mayRestart: ({ id }) => id === victim.id,
      act: async ({ isOver }) => {
        const before = await standing()
        for (const hours of [1, -1]) {
          writeFileSync(clockFile(whose), String(hours * 3_600_000))
          // Longer than looks at the nodes are apart.
          await sleep(6_000)
          expect(await standing()).toBe(before)
        }
        ok(await bed.m.docker('kill', victim.id))
        isOver()
      },
    })
    rmSync(clockFile(whose))
  },
)

test('etcd is killed', async () => {
  await bed.harmless({
    fault: 'etcd kill -9',
    act: async () => {
      process.kill(Number(ok(await bed.m.run('cat', [join(bed.m.dataDir, 'etcd.pid')]))), 'SIGKILL')
    },
    alsoWhen: async () => (await bed.m.kubectl('get', 'pods', '-n', 'hello')).code === 0,
  })
})

test('after a reboot of the host the pods start again without the control plane', async () => {
  const { m } = bed
  await bed.harmless({
    fault: 'reboot of the host: all processes and containers gone, no control plane until they run again',
    mayRestart: () => true,
    act: async ({ isOver }) => {
      ok(await m.ctl('down'))
      ok(
        await m.docker(
          'kill',
          ...ok(await m.docker('ps', '-q'))
            .trim()
            .split('\n'),
        ),
      )
      const program = join(root, 'dist/programs/agent.mjs')
      const places = ['--data-dir', join(m.dataDir, 'agent'), '--docker-host', m.engine.host]
      const agent = m.spawn(process.execPath, [program, 'run', '--node-name', 'one', ...places])
      isOver()
      try {
        await eventually('all containers', async (tell) => {
          const now = await bed.checker.look()
          tell(JSON.stringify(now.containers, null, 1))
          return now.containers?.filter(({ state }) => state === 'running').length === 8 ? true : undefined
        })
        await eventually('the application answers', async () =>
          ((await m.get('http://127.0.0.1:30080/')) ?? '').startsWith('Hello') ? true : undefined,
        )
      } finally {
        agent.kill('SIGTERM')
        await new Promise((resolve) => agent.once('close', resolve))
      }
      await up()
    },
  })
})
