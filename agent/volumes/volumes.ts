import { constants, mkdirSync } from 'node:fs'
import { chmod, chown, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { quantityValue } from '../../api/meta/quantity.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { nameSuffix, type Random } from '../../lib/random.ts'
import type { DesiredState, NodeFacts } from '../contracts.ts'
import type { PodVolumes } from '../pods/deps.ts'
import { ConfigError } from '../pods/env.ts'
import { containersOf, type Pod, uidOf, type Volume } from '../pods/pod-types.ts'
import { absent, touch, writeAtomically } from './atomic-writer.ts'
import { isPodUid, PodFolders, VolumeError } from './folders.ts'
import { prepareHostPath } from './host-path.ts'
import { hostMounter, type Mounter } from './mounts.ts'
import { payloadOf } from './payload.ts'
import { bindSubPath } from './sub-path.ts'

export interface VolumesOptions {
  /** Folder in which each pod has its own, as in `/var/lib/skiff/agent/pods`. */
  readonly root: string
  readonly node: NodeFacts
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly mounter?: Mounter
}

const maxLastWordsBytes = 4096
/** As large as a Secret can be, with room for two versions of it. */
const secretBytes = 4 * 1024 * 1024

export function createVolumes(options: VolumesOptions): PodVolumes {
  return new HostVolumes(options)
}

class HostVolumes implements PodVolumes {
  readonly #folders: PodFolders
  readonly #options: VolumesOptions
  readonly #mounter: Mounter
  #mayNotMount = false

  constructor(options: VolumesOptions) {
    this.#options = options
    this.#folders = new PodFolders(options.root)
    this.#mounter = options.mounter ?? hostMounter
  }

  async prepare(pod: Pod, desired: DesiredState, opts: AbortOptions): Promise<ReadonlyMap<string, string>> {
    this.#makeRoot()
    const paths = new Map<string, string>()
    for (const volume of pod.spec.volumes ?? []) {
      opts.signal.throwIfAborted()
      try {
        paths.set(volume.name, await this.#prepareOne(pod, volume, desired, opts))
      } catch (err) {
        opts.signal.throwIfAborted()
        throw new VolumeError(volume.name, err instanceof Error ? err.message : String(err), { cause: err })
      }
    }
    return paths
  }

  async refresh(pod: Pod, desired: DesiredState, opts: AbortOptions): Promise<void> {
    for (const volume of pod.spec.volumes ?? []) {
      try {
        await this.#writeFiles(pod, volume, desired, opts)
      } catch (err) {
        opts.signal.throwIfAborted()
        throw new VolumeError(volume.name, err instanceof Error ? err.message : String(err), { cause: err })
      }
    }
  }

  async cleanUp(podUid: string, opts: AbortOptions): Promise<void> {
    const folder = this.#folders.pod(podUid)
    for (const point of await this.#mounter.below(folder, opts)) await this.#mounter.unmount(point, opts)
    const left = await this.#mounter.below(folder, opts)
    // What is mounted there is not the pod's: removing its files would remove another's.
    if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}`)
    await rm(folder, { recursive: true, force: true, maxRetries: 2 })
  }

  async known({ signal }: AbortOptions): Promise<readonly string[]> {
    signal.throwIfAborted()
    const names = await readdir(this.#options.root).catch(absent)
    return (names ?? []).filter(isPodUid)
  }

  async subPath(
    { podUid, container, index }: { readonly podUid: string; readonly container: string; readonly index: number },
    volumePath: string,
    subPath: string,
    opts: AbortOptions,
  ): Promise<string> {
    const target = this.#folders.subPath(podUid, container, index)
    try {
      return await bindSubPath({ volumePath, subPath, target }, this.#mounter, opts)
    } catch (err) {
      opts.signal.throwIfAborted()
      const why = err instanceof Error ? err.message : String(err)
      throw new ConfigError(`failed to prepare subPath for volumeMount ${index} of container "${container}": ${why}`)
    }
  }

  async terminationLog(podUid: string, container: string, attempt: number, { signal }: AbortOptions): Promise<string> {
    signal.throwIfAborted()
    this.#makeRoot()
    const path = this.#folders.terminationLog(podUid, container, attempt)
    touch(path, 0o666)
    if (attempt > 1) await this.#dropOldLogs(podUid, container, attempt)
    return path
  }

  async lastWords(podUid: string, container: string, attempt: number, { signal }: AbortOptions): Promise<string> {
    signal.throwIfAborted()
    const path = this.#folders.terminationLog(podUid, container, attempt)
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(absent)
    if (file === undefined) return ''
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(maxLastWordsBytes), 0, maxLastWordsBytes, 0)
      return buffer.subarray(0, bytesRead).toString('utf8')
    } finally {
      await file.close()
    }
  }

  filesFolder(podUid: string): string {
    this.#makeRoot()
    return this.#folders.files(podUid)
  }

  /** Before what is below it, which everybody may enter. */
  #makeRoot(): void {
    mkdirSync(this.#options.root, { recursive: true, mode: 0o700 })
  }

  async #prepareOne(pod: Pod, volume: Volume, desired: DesiredState, opts: AbortOptions): Promise<string> {
    if (volume.hostPath !== undefined) return await prepareHostPath(volume.hostPath)
    const folder = this.#folders.volume(uidOf(pod), volume.name)
    if (await this.#writeFiles(pod, volume, desired, opts)) return folder
    const unknown = Object.keys(volume).filter((key) => key !== 'name' && key !== 'emptyDir')
    if (unknown.length > 0) throw new Error(`volumes of kind ${unknown.join(', ')} are not supported`)
    await this.#emptyDir(pod, volume, folder, opts)
    return folder
  }

  /** False for a volume that holds no files of ours. */
  async #writeFiles(pod: Pod, volume: Volume, desired: DesiredState, opts: AbortOptions): Promise<boolean> {
    const { node, clock, random } = this.#options
    const payload = payloadOf(volume, { pod, node, configs: desired })
    if (payload === undefined) return false
    const folder = this.#folders.volume(uidOf(pod), volume.name)
    await mkdir(folder, { recursive: true, mode: 0o755 })
    const isSecret = volume.secret !== undefined || volume.projected?.sources?.some(({ secret }) => secret !== undefined) === true
    if (isSecret) await this.#inMemory(folder, opts)
    await chmod(folder, 0o755) // Whatever the agent's umask is: the container's user has to read it.
    const version = `${clock.now()}.${nameSuffix(random, 8)}`
    await writeAtomically(folder, payload, { ...opts, version, group: pod.spec.securityContext?.fsGroup })
    return true
  }

  /** Secrets shall not touch the disk. Where the host allows no mounts, a folder that only root can enter has to do. */
  async #inMemory(folder: string, opts: AbortOptions): Promise<void> {
    if (this.#mayNotMount || (await this.#mounter.below(folder, opts)).includes(folder)) return
    try {
      await this.#mounter.tmpfs(folder, { sizeBytes: secretBytes, mode: 0o755 }, opts)
    } catch (err) {
      opts.signal.throwIfAborted()
      this.#mayNotMount = true // Said once: it will not change while the agent runs.
      this.#options.log.warn('secret volume lies on disk', { folder, err })
    }
  }

  async #emptyDir(pod: Pod, { emptyDir }: Volume, folder: string, opts: AbortOptions): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o777 })
    if (emptyDir?.medium === 'Memory' && !(await this.#mounter.below(folder, opts)).includes(folder)) {
      const limit = emptyDir.sizeLimit === undefined ? undefined : quantityValue(String(emptyDir.sizeLimit))
      await this.#mounter.tmpfs(folder, { sizeBytes: limit ?? memoryLimitOf(pod), mode: 0o777 }, opts)
    }
    const group = pod.spec.securityContext?.fsGroup
    const info = await stat(folder)
    if (group !== undefined && info.gid !== group) await chown(folder, info.uid, group)
    const mode = group === undefined ? 0o777 : 0o2777
    if ((info.mode & 0o7777) !== mode) await chmod(folder, mode)
  }

  /** Files of the newest attempts only: a container that restarts for ever must not fill the folder. */
  async #dropOldLogs(podUid: string, container: string, attempt: number): Promise<void> {
    const folder = this.#folders.container(podUid, container)
    for (const name of await readdir(folder)) {
      const number = /^termination-log\.(\d{1,9})$/.exec(name)?.[1]
      if (number !== undefined && Number(number) < attempt - 1) await rm(`${folder}/${name}`, { force: true })
    }
  }
}

/** A tmpfs without a limit of its own holds no more than the pod may use, if that is known. */
function memoryLimitOf(pod: Pod): number | undefined {
  const limits = containersOf(pod).map(({ resources }) => resources?.limits?.['memory'])
  if (limits.some((limit) => limit === undefined)) return undefined
  return limits.reduce<number>((sum, limit) => sum + quantityValue(String(limit)), 0)
}
