// How fast a pod is, against the engine without Skiff and against Docker Swarm, on the same engine in the same run:
//   npm run bench -- pods [--runs 15] [--many 30,100] [--no-swarm]
import process from 'node:process'
import { parseArgs } from 'node:util'
import { prepareImage } from '../e2e/example-image.ts'
import { createMachine, type Machine, ok } from '../e2e/machine.ts'
import { bareDocker } from './lib/bare-docker.ts'
import { type Row, table } from './lib/figures.ts'
import { SkiffPods, say } from './lib/skiff-pods.ts'
import { swarm } from './lib/swarm.ts'

interface Sizes {
  readonly runs: number
  readonly counts: readonly { readonly count: number; readonly runs: number }[]
  readonly withSwarm: boolean
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '15' },
    many: { type: 'string', default: '30,100' },
    'no-swarm': { type: 'boolean', default: false },
  },
})
const sizes: Sizes = {
  runs: Number(values.runs),
  counts: values.many
    .split(',')
    .map(Number)
    .filter((count) => count > 0)
    .map((count) => ({ count, runs: count <= 30 ? 3 : 1 })),
  withSwarm: !values['no-swarm'],
}

// The API is reached from inside the machine only, so this program starts itself there for Skiff's part.
if (positionals[0] === 'inside') await inside(positionals[1] ?? '', positionals[2] ?? '')
else await outside()

async function outside(): Promise<void> {
  await using machine = await createMachine('bench', { liveRestore: false })
  await prepareImage(machine)
  const socketPath = machine.engine.host.slice('unix://'.length)
  const docker = bareDocker(socketPath)
  await docker.single(2) // Warm up.
  const rows: Row[] = [...(await docker.single(sizes.runs))]
  for (const { count, runs } of sizes.counts) rows.push(await docker.many(count, runs))
  const counts = [{ count: 1, runs: Math.min(sizes.runs, 5) }, ...sizes.counts]
  if (sizes.withSwarm) rows.push(...(await swarm(machine, counts)))
  ok(await machine.ctl('up'))
  rows.push(...(await skiffRows(machine, socketPath)))
  process.stdout.write(`${table(rows)}\n`)
}

async function skiffRows(machine: Machine, socketPath: string): Promise<readonly Row[]> {
  const args = ['--runs', String(sizes.runs), '--many', values.many, 'inside', machine.kubeconfig, socketPath]
  return JSON.parse(ok(await machine.run(process.execPath, [import.meta.filename, ...args])))
}

async function inside(kubeconfig: string, socketPath: string): Promise<void> {
  await using pods = new SkiffPods(kubeconfig, socketPath)
  await pods.single(2) // Warm up.
  const rows: Row[] = [...(await pods.single(sizes.runs))]
  for (const { count, runs } of sizes.counts) rows.push(await pods.many(count, runs))
  say(rows)
}
