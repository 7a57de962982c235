import type { DesiredState } from '../../agent/contracts.ts'
import type { Pod } from '../../agent/pods/pod-types.ts'
import { TestVolumes } from '../../agent/pods/testing/doubles.ts'
import { payloadOf } from '../../agent/volumes/payload.ts'

const node = { name: 'sim', ip: '192.0.2.1', cpuMilli: 1000, memoryBytes: 1 }

/** A node's volumes: their files' content, by the product's own reckoning, without a disk. */
export class SimVolumes extends TestVolumes {
  /** By pod, volume and path. */
  readonly files = new Map<string, string>()

  override async prepare(pod: Pod, desired?: DesiredState): Promise<ReadonlyMap<string, string>> {
    const paths = await super.prepare(pod)
    if (desired !== undefined) this.#write(pod, desired)
    return paths
  }

  override async refresh(pod?: Pod, desired?: DesiredState): Promise<void> {
    if (pod !== undefined && desired !== undefined) this.#write(pod, desired)
  }

  override async cleanUp(uid: string): Promise<void> {
    await super.cleanUp(uid)
    for (const path of this.files.keys()) if (path.startsWith(`${uid}/`)) this.files.delete(path)
  }

  #write(pod: Pod, configs: DesiredState): void {
    for (const volume of pod.spec.volumes ?? []) {
      const payload = payloadOf(volume, { pod, node, configs })
      for (const [path, { data }] of payload ?? [])
        this.files.set(`${pod.metadata.uid}/${volume.name}/${path}`, Buffer.from(data).toString('utf8'))
    }
  }
}
