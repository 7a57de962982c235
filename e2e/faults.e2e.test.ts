import { rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { prepareImage } from './example-image.ts'
import { createMachine, eventually, type Machine, ok, root } from './machine.ts'

let m: Machine
beforeAll(async () => {
  m = await createMachine('faults')
  await prepareImage(m)
  ok(await m.ctl('up'))
  ok(await m.ctl('apply', '-f', join(root, 'manifests/hello.yaml')))
})
afterAll(async () => {
  await m[Symbol.asyncDispose]()
})

interface Container {
  readonly id: string
  readonly name: string
}

/** Read from Docker directly: what Skiff believes does not count. */
async function running(): Promise<readonly Container[]> {
  const text = ok(await m.docker('ps', '--no-trunc', '--format', '{{.ID}} {{.Names}}'))
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.includes('skiff_POD_spare__'))
    .map((line) => {
      const [id = '', name = ''] = line.split(' ')
      return { id, name }
    })
}
const ids = async (): Promise<readonly string[]> => (await running()).map(({ id }) => id).sort()
const pidOf = async (what: 'agent' | 'control plane'): Promise<number> =>
  Number(new RegExp(`${what}: running \\(pid (\\d+)\\)`).exec((await m.ctl('status')).stdout)?.[1])
const settled = async (): Promise<void> => {
  ok(await m.ctl('rollout', 'status', 'deployment/hello', '-n', 'hello', '--timeout=60s'))
  await eventually(
    'the application answers',
    async () => ((await m.get('http://127.0.0.1:30080/')) ?? '').startsWith('Hello') || undefined,
  )
}

/** After each fault: three pods, a sandbox and a container each, all ready, none twice, and a URL that answers. */
afterEach(async () => {
  await eventually('three pods with two containers each', async (tell) => {
    const now = await running()
    const pods = ok(await m.ctl('get', 'pods', '-n', 'hello'))
    tell(`${now.map(({ name }) => name).join('\n')}\n${pods}`)
    const isComplete = now.length === 6 && new Set(now.map(({ name }) => name)).size === 6
    return isComplete && (pods.match(/1\/1\s+Running/g) ?? []).length === 3 ? true : undefined
  })
  await settled()
})

test.each(['checkpoint deleted', 'checkpoint truncated', 'checkpoint of nonsense'])(
  'an agent with its %s restarts no container',
  async (what) => {
    const before = await ids()
    process.kill(await pidOf('agent'), 'SIGKILL')
    const folder = join(m.dataDir, 'agent', 'desired')
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
    if (what === 'checkpoint deleted') rmSync(folder, { recursive: true })
    else
      for (const file of files)
        writeFileSync(join(file.parentPath, file.name), what === 'checkpoint truncated' ? '' : '{"no": sense')
    ok(await m.ctl('up'))
    await settled()
    expect(await ids()).toEqual(before)
  },
)

test('with the control plane away a crashed container is restarted, and nothing else', async () => {
  const before = await ids()
  process.kill(await pidOf('control plane'), 'SIGKILL')
  const victim = (await running()).find(({ name }) => !name.includes('POD'))
  ok(await m.docker('kill', victim?.id ?? ''))
  await eventually('another container instead', async (tell) => {
    const now = await ids()
    tell(now.join('\n'))
    return now.length === 6 && !now.includes(victim?.id ?? '') ? true : undefined
  })
  const after = await ids()
  expect(before.filter((id) => !after.includes(id))).toEqual([victim?.id])
  ok(await m.ctl('up'))
})

test('a killed etcd comes back with everything', async () => {
  const before = await ids()
  const pid = Number(ok(await m.run('cat', [join(m.dataDir, 'etcd.pid')])))
  process.kill(pid, 'SIGKILL')
  await eventually('the API answers again', async (tell) => {
    const result = await m.ctl('get', 'pods', '-n', 'hello')
    tell(result.stderr)
    return result.code === 0 && Number((await m.run('cat', [join(m.dataDir, 'etcd.pid')])).stdout) !== pid ? true : undefined
  })
  await settled()
  expect(await ids()).toEqual(before)
})

test('a killed Docker Engine that keeps its containers costs none of them', async () => {
  const before = await ids()
  m.engine.signal('SIGKILL')
  await m.engine.start()
  await settled()
  expect(await ids()).toEqual(before)
})

test('a Docker Engine that hangs costs nothing when it goes on', async () => {
  const before = await ids()
  m.engine.signal('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, 8_000))
  m.engine.signal('SIGCONT')
  await settled()
  expect(await ids()).toEqual(before)
})

test.each([
  ['killed', 'kill'],
  ['stopped', 'stop'],
  ['removed', 'rm -f'],
])('a container that is %s behind our back is replaced', async (_, command) => {
  const victim = (await running()).find(({ name }) => !name.includes('POD'))
  ok(await m.docker(...command.split(' '), victim?.id ?? ''))
  await eventually('another container instead', async (tell) => {
    const now = await ids()
    tell(now.join('\n'))
    return now.length === 6 && !now.includes(victim?.id ?? '') ? true : undefined
  })
})

test('a sandbox that is removed behind our back is replaced, and the pod with it', async () => {
  const victim = (await running()).find(({ name }) => name.includes('POD'))
  expect(victim).toBeDefined()
  ok(await m.docker('rm', '-f', victim?.id ?? ''))
  await eventually('another sandbox instead', async (tell) => {
    const now = await ids()
    tell(now.join('\n'))
    return now.length === 6 && !now.includes(victim?.id ?? '') ? true : undefined
  })
})

test('after a reboot of the host the pods start again without the control plane', async () => {
  ok(await m.ctl('down'))
  const all = await ids()
  ok(await m.docker('kill', ...all))
  const agentProgram = join(root, 'dist/programs/agent.mjs')
  const status = JSON.parse(ok(await m.run('cat', [join(m.dataDir, 'settings.json')]))) as { readonly nodeName: string }
  const options = [
    '--data-dir',
    join(m.dataDir, 'agent'),
    '--node-name',
    status.nodeName,
    '--docker-host',
    m.env['DOCKER_HOST'] ?? '',
  ]
  const agent = m.spawn(process.execPath, [agentProgram, 'run', ...options])
  try {
    await eventually('six containers', async (tell) => {
      const now = await running()
      tell(now.map(({ name }) => name).join('\n'))
      return now.length === 6 ? true : undefined
    })
    await eventually(
      'the application answers',
      async () => ((await m.get('http://127.0.0.1:30080/')) ?? '').startsWith('Hello') || undefined,
    )
  } finally {
    agent.kill('SIGTERM')
    await new Promise((resolve) => agent.once('close', resolve))
  }
  ok(await m.ctl('up'))
})
