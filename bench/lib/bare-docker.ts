import Docker from 'dockerode'
import { forEachLimit } from '../../lib/async.ts'
import { timed } from './figures.ts'
import { image, script } from './workload.ts'

export interface BareDocker {
  /** `docker run -d`, in milliseconds. */
  start(): Promise<number>
  /** `docker rm -f` of the one that was started last. */
  remove(): Promise<number>
  /** So many started, so many at a time: when each was, from the begin of all. They are removed again, which does not count. */
  many(count: number, atOnce: number): Promise<readonly number[]>
}

export const runName = 'docker run -d'
export const removeName = 'docker rm -f'
export const manyName = (count: number): string => `${count} × docker run -d, four at a time`
export const inTurnName = (count: number): string => `${count} × docker run -d, one after the other`

/** What somebody has who uses the engine itself, through its API: no client has to start. Default network: the bridge. */
export function bareDocker(socketPath: string): BareDocker {
  const docker = new Docker({ socketPath })
  const run = async (containers: Docker.Container[]): Promise<void> => {
    const container = await docker.createContainer({ Image: image, Cmd: ['sh', '-c', script] })
    containers.push(container)
    await container.start()
  }
  const started: Docker.Container[] = []
  return {
    start: () => timed(() => run(started)),
    remove: () => timed(async () => await started.pop()?.remove({ force: true })),
    async many(count, atOnce) {
      const containers: Docker.Container[] = []
      const indices = Array.from({ length: count }, (_, index) => index)
      const took: number[] = []
      const beginMs = performance.now()
      await forEachLimit(indices, atOnce, async () => {
        await run(containers)
        took.push(performance.now() - beginMs)
      })
      await forEachLimit(containers, 4, async (container) => void (await container.remove({ force: true })))
      return took
    },
  }
}
