// What Skiff itself uses while nothing happens: memory and processor time of control plane, agent and etcd.
//   sh deploy/with-node.sh node bench/footprint.ts [--pods 30] [--seconds 60] [--settle 420] [--small]
import process from 'node:process'
import { parseArgs } from 'node:util'
import { prepareImage } from '../e2e/example-image.ts'
import { createMachine, type Machine, ok, root } from '../e2e/machine.ts'
import { type Usage, usageOf } from './lib/processes.ts'
import { image, script } from './lib/workload.ts'

const { values } = parseArgs({
  options: {
    pods: { type: 'string' },
    seconds: { type: 'string' },
    settle: { type: 'string' },
    small: { type: 'boolean', default: false },
  },
})
const sizes = values.small ? { pods: 2, seconds: 2, settle: 1 } : { pods: 30, seconds: 60, settle: 420 }
const sizeOf = (name: 'pods' | 'seconds' | 'settle'): number => Number(values[name] ?? sizes[name])
const [pods, seconds, settle] = [sizeOf('pods'), sizeOf('seconds'), sizeOf('settle')]

await using machine = await createMachine('footprint')
// As users run it.
delete machine.env['SKIFF_DEBUG_CHECKS']
await prepareImage(machine)
ok(await machine.ctl('up'))
await deploy(machine, pods)
await wait(settle)
const before = usageOf(machine.folder)
await wait(seconds)
const after = usageOf(machine.folder)
process.stdout.write(`${report(before, after)}\n`)

async function deploy({ ctl, run }: Machine, replicas: number): Promise<void> {
  const labels = { app: 'idle' }
  const container = { name: 'main', image, imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', script] }
  const spec = {
    replicas,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [container] } },
  }
  const input = JSON.stringify({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'idle' }, spec })
  ok(await run(process.execPath, [`${root}/dist/programs/ctl.mjs`, 'apply', '-f', '-'], { input }))
  ok(await ctl('rollout', 'status', 'deployment/idle', '--timeout=300s'))
}

/** One line for each program; what is not Skiff's stands below the sum, to set it against. */
function report(was: readonly Usage[], is: readonly Usage[]): string {
  const lines = is.map(({ pid, cpuMs, ...one }) => {
    const earlier = was.find((other) => other.pid === pid)
    if (earlier === undefined) throw new Error(`${one.program} was started again while it was watched`)
    return { ...one, share: (cpuMs - earlier.cpuMs) / (seconds * 10) }
  })
  const ours = lines.filter(({ isSkiff }) => isSkiff)
  const sum = (of: (line: (typeof lines)[number]) => number): number => ours.reduce((total, line) => total + of(line), 0)
  const all = {
    program: 'all',
    rssMiB: sum(({ rssMiB }) => rssMiB),
    pssMiB: sum(({ pssMiB }) => pssMiB),
    share: sum(({ share }) => share),
  }
  return [...ours, all, ...lines.filter(({ isSkiff }) => !isSkiff)]
    .map(
      ({ program, rssMiB, pssMiB, share }) =>
        `${program.padEnd(13)}RSS${rssMiB.toFixed(0).padStart(5)} MiB  PSS${pssMiB.toFixed(0).padStart(5)} MiB  ${share.toFixed(2).padStart(6)} % of a core`,
    )
    .join('\n')
}

function wait(s: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, s * 1_000))
}
