import { type Machine, ok } from '../../e2e/machine.ts'
import { manyName, runName } from './bare-docker.ts'
import { type Row, timed } from './figures.ts'
import { image, script } from './workload.ts'

/** Docker Swarm on the same engine: a service with one and with many replicas until its tasks run. */
export async function swarm(
  machine: Machine,
  counts: readonly { readonly count: number; readonly runs: number }[],
): Promise<readonly Row[]> {
  ok(await machine.docker('swarm', 'init', '--advertise-addr', '192.0.2.10'))
  // By its id: of an image with a name a task asks the registry first, and waits 20 s for an answer that cannot come.
  const id = ok(await machine.docker('image', 'inspect', '--format', '{{.Id}}', image)).trim()
  const rows: Row[] = []
  for (const { count, runs } of counts) {
    const ms: number[] = []
    for (let index = 0; index < runs; index++) {
      const name = `bench-${count}-${index}`
      const took = await timed(async () => {
        const args = ['--detach', '--no-resolve-image', '--name', name, '--replicas', String(count)]
        ok(await machine.docker('service', 'create', ...args, id, 'sh', '-c', script))
        await untilRunning(machine, name, count)
      })
      ok(await machine.docker('service', 'rm', name))
      await untilGone(machine, name)
      ms.push(took)
    }
    rows.push({ name: `swarm service, ${count}`, ms, against: count === 1 ? runName : manyName(count) })
  }
  ok(await machine.docker('swarm', 'leave', '--force'))
  return rows
}

/** A figure of this size means "longer". */
const limitMs = 120_000

async function untilRunning(machine: Machine, name: string, count: number): Promise<void> {
  const untilMs = performance.now() + limitMs
  while (performance.now() < untilMs) {
    const states = ok(await machine.docker('service', 'ps', name, '--format', '{{.CurrentState}}'))
    if (states.split('\n').filter((state) => state.startsWith('Running')).length >= count) return
    await pause()
  }
}

async function untilGone(machine: Machine, name: string): Promise<void> {
  while (ok(await machine.docker('ps', '-aq', '--filter', `label=com.docker.swarm.service.name=${name}`)).trim() !== '')
    await pause()
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50))
