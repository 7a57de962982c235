import Docker from 'dockerode'
import { forEachLimit } from '../../lib/async.ts'
import { type Row, repeat, timed } from './figures.ts'
import { image, script } from './workload.ts'

export interface BareDocker {
  /** `docker run -d` and `docker rm -f`, one at a time. */
  single(runs: number): Promise<readonly Row[]>
  /** So many of them, four at a time. */
  many(count: number, runs: number): Promise<Row>
}

/** What somebody has who uses the engine itself, through its API: no client has to start. Default network: the bridge. */
export function bareDocker(socketPath: string): BareDocker {
  const docker = new Docker({ socketPath })
  const start = async (): Promise<Docker.Container> => {
    const container = await docker.createContainer({ Image: image, Cmd: ['sh', '-c', script] })
    await container.start()
    return container
  }
  return {
    async single(runs) {
      const containers: Docker.Container[] = []
      const started = await repeat(runs, () => timed(async () => containers.push(await start())))
      const removed: number[] = []
      for (const container of containers) removed.push(await timed(() => container.remove({ force: true })))
      return [
        { name: 'docker run -d', ms: started },
        { name: 'docker rm -f', ms: removed },
      ]
    },
    async many(count, runs) {
      const ms = await repeat(runs, async () => {
        const containers: Docker.Container[] = []
        const indices = Array.from({ length: count }, (_, index) => index)
        const took = await timed(() => forEachLimit(indices, 4, async () => void containers.push(await start())))
        await forEachLimit(containers, 4, async (container) => void (await container.remove({ force: true })))
        return took
      })
      return { name: manyName(count), ms }
    },
  }
}

export const manyName = (count: number): string => `${count} × docker run -d, four at a time`
