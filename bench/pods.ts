// How fast a pod is, against the engine without Skiff (and Docker Swarm), on the same engine in the same run:
//   sh deploy/with-node.sh node bench/pods.ts [--runs 15] [--many 30,100] [--swarm] [--small]
import process from 'node:process'
import { parseArgs } from 'node:util'
import { prepareImage } from '../e2e/example-image.ts'
import { createMachine, type Machine, ok } from '../e2e/machine.ts'
import { type BareDocker, bareDocker, inTurnName, manyName, removeName, runName } from './lib/bare-docker.ts'
import { type Row, table } from './lib/figures.ts'
import { SkiffPods } from './lib/skiff-pods.ts'
import { swarm } from './lib/swarm.ts'

interface Sizes {
  readonly runs: number
  readonly counts: readonly { readonly count: number; readonly runs: number }[]
  readonly withSwarm: boolean
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string' },
    many: { type: 'string' },
    small: { type: 'boolean', default: false },
    swarm: { type: 'boolean', default: false },
  },
})
const { runs = values.small ? '1' : '15', many = values.small ? '3' : '30,100' } = values
const sizes: Sizes = {
  runs: Number(runs),
  counts: many
    .split(',')
    .map(Number)
    .filter((count) => count > 0)
    .map((count) => ({ count, runs: values.small ? 2 : count <= 30 ? 4 : 2 })),
  withSwarm: values.swarm,
}

// The API is reached from inside the machine only, so this program starts itself there for Skiff's part.
if (positionals[0] === 'inside') await inside(positionals[1] ?? '', positionals[2] ?? '')
else await outside()

async function outside(): Promise<void> {
  await using machine = await createMachine('bench', { liveRestore: false })
  await prepareImage(machine)
  const many = sizes.counts.filter(({ count }) => count <= 30).map(({ count }) => ({ count, runs: 1 }))
  const counts = [{ count: 1, runs: Math.min(sizes.runs, 5) }, ...many]
  const swarmRows = sizes.withSwarm ? await swarm(machine, counts) : []
  ok(await machine.ctl('up'))
  const socketPath = machine.engine.host.slice('unix://'.length)
  process.stdout.write(`${table([...(await skiffRows(machine, socketPath)), ...swarmRows])}\n`)
}

async function skiffRows(machine: Machine, socketPath: string): Promise<readonly Row[]> {
  const args = ['--runs', runs, '--many', many, ...(values.small ? ['--small'] : []), 'inside', machine.kubeconfig, socketPath]
  return JSON.parse(ok(await machine.run(process.execPath, [import.meta.filename, ...args])))
}

/** The engine alone and Skiff take turns, so that whatever else the machine does slows both. */
async function inside(kubeconfig: string, socketPath: string): Promise<void> {
  await using pods = new SkiffPods(kubeconfig, socketPath)
  const docker = bareDocker(socketPath)
  if (!values.small) await single(2, docker, pods) // Warm up.
  const rows: Row[] = [...(await single(sizes.runs, docker, pods))]
  for (const { count, runs } of sizes.counts) rows.push(...(await manyRows({ count, runs }, docker, pods)))
  process.stdout.write(`${JSON.stringify(rows)}\n`)
}

/** The agent keeps more sandboxes ready after pods have come in a group: first and later turns are rows of their own. */
async function manyRows({ count, runs }: Sizes['counts'][number], docker: BareDocker, pods: SkiffPods): Promise<readonly Row[]> {
  const bare = manyName(count)
  const of = (which: string): string => `each of them, ${which}`
  const inTurn = await docker.many(count, 1)
  const ms: Record<string, number[]> = { [inTurnName(count)]: [Math.max(...inTurn)] }
  const against: Record<string, string> = {}
  const note = (name: string, each: readonly number[], other?: string): void => {
    ms[name] = [...(ms[name] ?? []), Math.max(...each)]
    ms[of(name)] = [...(ms[of(name)] ?? []), ...each]
    if (other !== undefined) Object.assign(against, { [name]: other, [of(name)]: of(other) })
  }
  for (let run = 0; run < runs; run++) {
    const ready = await pods.rested()
    note(bare, await docker.many(count, 4))
    note(`0 to ${count} ready, ${ready} sandboxes prepared`, await pods.many(count), bare)
  }
  return Object.entries(ms).map(([name, samples]) => ({ name, ms: samples, ...(against[name] && { against: against[name] }) }))
}

async function single(runs: number, docker: BareDocker, pods: SkiffPods): Promise<readonly Row[]> {
  const ms = { start: [], ready: [], remove: [], container: [], object: [] } as Record<string, number[]>
  const note = (name: string, value: number): void => void ms[name]?.push(value)
  for (let run = 0; run < runs; run++) {
    await pods.rested()
    note('start', await docker.start())
    note('ready', await pods.create(`one-${run}`))
  }
  for (let run = 0; run < runs; run++) {
    note('remove', await docker.remove())
    const { containerMs, objectMs } = await pods.delete(`one-${run}`)
    note('container', containerMs)
    note('object', objectMs)
  }
  const row = (name: string, key: string, against?: string): Row => ({ name, ms: ms[key] ?? [], ...(against && { against }) })
  return [
    row(runName, 'start'),
    row('pod, apply to Ready', 'ready', runName),
    row(removeName, 'remove'),
    row('pod, delete to container gone', 'container', removeName),
    row('pod, delete to object gone', 'object', removeName),
  ]
}
