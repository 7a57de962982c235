import type { ExecInput, ExecOptions, ExecOutput, LogOptions } from '../../../api/meta/streams.ts'
import { type AbortOptions, forEachLimit, sleep } from '../../../lib/async.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { Log } from '../../../lib/log.ts'
import type { Metrics } from '../../../lib/metrics.ts'
import {
  type ContainerEvent,
  type ContainerIdentity,
  type ContainerSpec,
  type ContainerState,
  type EngineInfo,
  type ImageInfo,
  type RegistryAuth,
  type Runtime,
  RuntimeError,
} from '../runtime.ts'
import { type CreateOptions, createBody } from './create-body.ts'
import { Engine } from './engine.ts'
import { runtimeError, startError, statusOf, wordsOf } from './errors.ts'
import { containerEvents } from './events.ts'
import { containerExec } from './exec.ts'
import { fullRights, type HostRights } from './host-rights.ts'
import { importTar, inspectImage, listImages, pullImage } from './images.ts'
import { containerName, namePattern, ownerLabel, podUidLabel } from './labels.ts'
import { containerLogs } from './logs.ts'
import { OutOfMemory } from './out-of-memory.ts'
import { isTrue, list, number, text, textMap } from './read.ts'
import { type Row, rowOf, SeenContainers } from './seen-containers.ts'
import { SeenImages } from './seen-images.ts'
import { containerState } from './state.ts'

export interface DockerRuntimeOptions {
  readonly socketPath: string
  /** Which Skiff of those on this engine: written on every container, and only containers with it are seen. */
  readonly owner: string
  readonly clock: Clock
  readonly log: Log
  readonly metrics?: Metrics
  readonly rights?: HostRights
  readonly cgroupParent?: string
  readonly logMaxBytes?: number
  readonly logMaxFiles?: number
  readonly pidsLimit?: number
}

interface ListFilter {
  readonly label?: string
  readonly name?: string
}

const queryMs = 15_000
const createMs = 60_000
const startMs = 120_000
const removeMs = 60_000
/** Above the grace period: for the kill and the engine's own work. */
const stopSlackMs = 30_000
const inspectsAtOnce = 8
/** A name stays taken for as long as the removal of its last bearer takes. */
const nameRetryMs = 100
const nameRetries = 50

export function createDockerRuntime(options: DockerRuntimeOptions): Runtime {
  return new DockerRuntime(options)
}

class DockerRuntime implements Runtime {
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #log: Log
  readonly #create: CreateOptions
  readonly #outOfMemory = new OutOfMemory()
  readonly #seen: SeenContainers
  readonly #seenImages = new SeenImages()

  constructor(options: DockerRuntimeOptions) {
    const { logMaxBytes = 10 * 1024 * 1024, logMaxFiles = 3, pidsLimit = 4_096, rights = fullRights } = options
    this.#engine = new Engine(options)
    this.#clock = options.clock
    this.#seen = new SeenContainers(options.clock)
    this.#log = options.log
    this.#create = { owner: options.owner, rights, logMaxBytes, logMaxFiles, pidsLimit, cgroupParent: options.cgroupParent }
  }

  async info({ signal }: AbortOptions): Promise<EngineInfo> {
    const what = 'ask the engine for its facts'
    const call = { what, ms: queryMs, signal }
    const [info, version] = await Promise.all([this.#engine.get(call, '/info'), this.#engine.get(call, '/version')]).catch(
      (err: unknown) => {
        signal.throwIfAborted()
        throw runtimeError(what, err)
      },
    )
    return {
      name: 'docker',
      version: text(info, 'ServerVersion'),
      apiVersion: text(version, 'ApiVersion'),
      kernelVersion: text(info, 'KernelVersion'),
      operatingSystem: text(info, 'OperatingSystem'),
      architecture: text(info, 'Architecture'),
      cpus: number(info, 'NCPU') ?? 0,
      memoryBytes: number(info, 'MemTotal') ?? 0,
      rootFolder: text(info, 'DockerRootDir'),
      cgroupDriver: text(info, 'CgroupDriver'),
      liveRestore: isTrue(info, 'LiveRestoreEnabled'),
    }
  }

  /** Containers that nothing has happened to for a while are not inspected again each time. */
  async list({ signal }: AbortOptions): Promise<readonly ContainerState[]> {
    const rows = await this.#rows({}, { signal })
    this.#seen.keepOnly(rows)
    return await this.#states(rows, (row) => this.#seen.get(row) ?? this.#look(row, { signal }))
  }

  /** Labels hold whatever a container is called; a sandbox that was prepared ahead is its pod's by its name alone. */
  async listPod(podUid: string, opts: AbortOptions): Promise<readonly ContainerState[]> {
    const filters = [{ label: `${podUidLabel}=${podUid}` }, { name: namePattern(podUid) }]
    const found = await Promise.all(filters.map((filter) => this.#rows(filter, opts)))
    const rows = new Map(found.flat().map((row) => [row.id, row]))
    const states = await this.#states([...rows.values()], (row) => this.#look(row, opts))
    return states.filter(({ identity }) => identity.podUid === podUid)
  }

  async state(id: string, opts: AbortOptions): Promise<ContainerState | undefined> {
    return containerState(await this.#inspect(id, opts), (containerId) => this.#outOfMemory.has(containerId))
  }

  /** The list lacks exit codes and times. */
  async #states(
    rows: readonly Row[],
    stateOf: (row: Row) => ContainerState | undefined | Promise<ContainerState | undefined>,
  ): Promise<readonly ContainerState[]> {
    const states: ContainerState[] = []
    await forEachLimit(rows, inspectsAtOnce, async (row) => {
      const state = await stateOf(row)
      if (state !== undefined) states.push(state)
    })
    return states.sort((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1))
  }

  /** What the filter finds. */
  async #rows({ label, name }: ListFilter, { signal }: AbortOptions): Promise<readonly Row[]> {
    const labels = [`${ownerLabel}=${this.#create.owner}`, ...(label === undefined ? [] : [label])]
    const filters = { label: labels, ...(name !== undefined && { name: [name] }) }
    const rows: unknown = await this.#engine.call({ what: 'list containers', ms: queryMs, signal }, (docker, abortSignal) =>
      docker.listContainers({ all: true, filters, abortSignal }),
    )
    // An engine that says something else has not said that there are none.
    if (!Array.isArray(rows)) throw new RuntimeError('Unavailable', 'list containers: the engine gave no list')
    return list(rows).map(rowOf)
  }

  /** Undefined when it has gone in the meantime. */
  #look(row: Row, opts: AbortOptions): Promise<ContainerState | undefined> {
    return this.#seen.look(row, () => this.state(row.id, opts))
  }

  async #inspect(idOrName: string, { signal }: AbortOptions): Promise<unknown> {
    const what = `inspect container ${idOrName.slice(0, 80)}`
    let said: unknown
    try {
      said = await this.#engine.raw({ what, ms: queryMs, signal }, (docker, abortSignal) =>
        docker.getContainer(idOrName).inspect({ abortSignal }),
      )
    } catch (err) {
      if (statusOf(err) === 404) return undefined
      signal.throwIfAborted()
      throw runtimeError(what, err)
    }
    // An engine that says something else has not said that it is gone.
    if (text(said, 'Id') === '') throw new RuntimeError('Unavailable', `${what}: the engine gave no container`)
    return said
  }

  async create(spec: ContainerSpec, opts: AbortOptions): Promise<string> {
    const body = createBody(spec, this.#create)
    for (let attempt = 0; attempt < nameRetries; attempt++) {
      const id = await this.#createOnce(body, spec, opts)
      if (id !== undefined) return id
      const existing = await this.#existing(body.name, spec, opts)
      if (existing !== undefined) return existing
      await sleep(this.#clock, nameRetryMs, opts.signal)
    }
    throw new RuntimeError('Conflict', `create container "${body.name}": its name stays taken by one that is being removed`)
  }

  /** Undefined when the name is taken. */
  async #createOnce(
    body: ReturnType<typeof createBody>,
    spec: ContainerSpec,
    { signal }: AbortOptions,
  ): Promise<string | undefined> {
    const what = `create container "${body.name}"`
    try {
      const container = await this.#engine.raw({ what, ms: createMs, signal }, (docker, abortSignal) =>
        docker.createContainer({ ...body, abortSignal }),
      )
      return container.id
    } catch (err) {
      signal.throwIfAborted()
      if (statusOf(err) === 409 && /already in use/i.test(wordsOf(err))) return undefined
      if (statusOf(err) === 404 && /no such image/i.test(wordsOf(err))) {
        this.#seenImages.forgetAll()
        throw new RuntimeError('ImageNotFound', `image "${spec.image}" is not on this node`, { cause: err })
      }
      throw runtimeError(what, err)
    }
  }

  /** The bearer of the name, if it is ours and not on its way out. */
  async #existing(name: string, spec: ContainerSpec, opts: AbortOptions): Promise<string | undefined> {
    const inspect = await this.#inspect(name, opts)
    if (inspect === undefined || ['removing', 'dead'].includes(text(inspect, 'State', 'Status'))) return undefined
    const state = containerState(inspect, () => false)
    const isOurs = textMap(inspect, 'Config', 'Labels')[ownerLabel] === this.#create.owner
    if (isOurs && state?.identity.podUid === spec.identity.podUid) return state.id
    throw new RuntimeError(
      'Conflict',
      `create container "${name}": the name belongs to a container that is not this node agent's`,
    )
  }

  async start(id: string, { signal }: AbortOptions): Promise<void> {
    try {
      await this.#engine.raw({ what: 'start container', ms: startMs, signal }, (docker, abortSignal) =>
        docker.getContainer(id).start({ abortSignal }),
      )
    } catch (err) {
      signal.throwIfAborted()
      if (statusOf(err) === 304) return
      throw startError(err)
    }
  }

  async stop(id: string, graceMs: number, { signal }: AbortOptions): Promise<void> {
    const seconds = Math.ceil(Math.max(0, graceMs) / 1000)
    try {
      await this.#engine.raw({ what: 'stop container', ms: graceMs + stopSlackMs, signal }, (docker, abortSignal) =>
        docker.getContainer(id).stop({ t: seconds, abortSignal }),
      )
    } catch (err) {
      signal.throwIfAborted()
      if (statusOf(err) === 304 || statusOf(err) === 404) return
      throw runtimeError('stop container', err)
    }
  }

  /** By its name, not its id, so that one that was taken a moment ago is not taken away again. */
  async adopt(spare: ContainerIdentity, identity: ContainerIdentity, { signal }: AbortOptions): Promise<boolean> {
    const name = containerName(identity)
    try {
      await this.#engine.raw({ what: 'rename container', ms: queryMs, signal }, (docker, abortSignal) =>
        docker.getContainer(containerName(spare)).rename({ name, abortSignal }),
      )
      return true
    } catch (err) {
      signal.throwIfAborted()
      if (statusOf(err) === 409 && /already in use/i.test(wordsOf(err))) return false
      throw runtimeError('rename container', err)
    }
  }

  async remove(id: string, { signal }: AbortOptions): Promise<void> {
    try {
      await this.#engine.raw({ what: 'remove container', ms: removeMs, signal }, (docker, abortSignal) =>
        docker.getContainer(id).remove({ force: true, v: true, abortSignal }),
      )
      this.#outOfMemory.forget(id)
    } catch (err) {
      signal.throwIfAborted()
      if (statusOf(err) === 404) return
      if (statusOf(err) === 409 && /already in progress/i.test(wordsOf(err))) return await this.#gone(id, { signal })
      throw runtimeError('remove container', err)
    }
  }

  async #gone(id: string, opts: AbortOptions): Promise<void> {
    for (let attempt = 0; attempt < nameRetries; attempt++) {
      if ((await this.#inspect(id, opts)) === undefined) return
      await sleep(this.#clock, nameRetryMs, opts.signal)
    }
    throw new RuntimeError('Timeout', `remove container ${id.slice(0, 12)}: a removal in progress does not end`)
  }

  events(opts: AbortOptions): AsyncIterable<ContainerEvent> {
    const onOutOfMemory = (id: string): void => this.#outOfMemory.add(id)
    return containerEvents(
      {
        ...{ engine: this.#engine, clock: this.#clock, log: this.#log, owner: this.#create.owner, onOutOfMemory },
        ...{ seen: this.#seen, seenImages: this.#seenImages },
      },
      opts,
    )
  }

  image(ref: string, opts: AbortOptions): Promise<ImageInfo | undefined> {
    return this.#seenImages.look(ref, () => inspectImage(this.#engine, ref, opts))
  }

  images(opts: AbortOptions): Promise<readonly ImageInfo[]> {
    return listImages(this.#engine, opts)
  }

  async pull(ref: string, auth: RegistryAuth | undefined, opts: AbortOptions): Promise<void> {
    try {
      await pullImage({ engine: this.#engine, clock: this.#clock }, { ref, auth }, opts)
    } finally {
      this.#seenImages.forgetAll() // The event may come later than whoever asks what was pulled.
    }
  }

  importImage(
    tag: string,
    tar: Uint8Array,
    { entrypoint }: { readonly entrypoint: readonly string[] },
    opts: AbortOptions,
  ): Promise<void> {
    return importTar({ engine: this.#engine, clock: this.#clock }, { tag, tar, entrypoint }, opts)
  }

  logs(id: string, options: LogOptions, opts: AbortOptions): ReturnType<Runtime['logs']> {
    return containerLogs(this.#engine, id, options, opts)
  }

  exec(id: string, options: ExecOptions, input: AsyncIterable<ExecInput>, opts: AbortOptions): AsyncIterable<ExecOutput> {
    return containerExec({ engine: this.#engine, clock: this.#clock }, { id, options, input }, opts)
  }
}
