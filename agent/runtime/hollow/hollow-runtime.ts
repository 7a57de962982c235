import { createHash } from 'node:crypto'
import type { ExecInput, ExecOptions, ExecOutput, LogOptions } from '../../../api/meta/streams.ts'
import { type AbortOptions, aborted, sleep } from '../../../lib/async.ts'
import type { Clock } from '../../../lib/clock.ts'
import { BoundedQueue } from '../../../lib/queue.ts'
import {
  type ContainerEvent,
  type ContainerIdentity,
  type ContainerSpec,
  type ContainerState,
  type EngineInfo,
  type ImageInfo,
  type Runtime,
  RuntimeError,
} from '../runtime.ts'
import { HollowContainer } from './hollow-container.ts'
import { type Call, type ExecResult, type HollowImage, type HollowOptions, runsForever } from './script.ts'

const eventBuffer = 1024

/**
 * A container engine that runs nothing: containers are entries in a map that live on the given clock and do what the
 * script says. For tests, the simulator and scale runs. Passes the same conformance suite as the real one.
 */
export class HollowRuntime implements Runtime {
  /** May be exchanged at any time; holds for what is made or called from then on. */
  options: HollowOptions
  readonly #clock: Clock
  readonly #containers = new Map<string, HollowContainer>()
  readonly #images = new Map<string, HollowImage>()
  readonly #subscribers = new Set<BoundedQueue<ContainerEvent>>()
  #made = 0

  constructor(clock: Clock, options: HollowOptions = {}) {
    this.#clock = clock
    this.options = options
    for (const image of options.images ?? []) this.#images.set(image.ref, image)
  }

  async info({ signal }: AbortOptions): Promise<EngineInfo> {
    signal.throwIfAborted()
    return {
      name: 'hollow',
      version: '0',
      apiVersion: '0',
      kernelVersion: '0',
      operatingSystem: 'hollow',
      architecture: 'x86_64',
      cpus: 64,
      memoryBytes: 2 ** 38,
      rootFolder: '/nonexistent',
      cgroupDriver: 'none',
      liveRestore: true,
    }
  }

  list(opts: AbortOptions): Promise<readonly ContainerState[]> {
    return this.#call('list', 'all', opts, () => [...this.#containers.values()].map((one) => one.state()))
  }

  listPod(podUid: string, opts: AbortOptions): Promise<readonly ContainerState[]> {
    const own = (): ContainerState[] => [...this.#containers.values()].map((one) => one.state())
    return this.#call('list', podUid, opts, () => own().filter(({ identity }) => identity.podUid === podUid))
  }

  state(id: string, opts: AbortOptions): Promise<ContainerState | undefined> {
    return this.#call('list', id, opts, () => this.#containers.get(id)?.state())
  }

  create(spec: ContainerSpec, opts: AbortOptions): Promise<string> {
    const { podUid } = spec.identity
    const name = nameOf(spec.identity)
    return this.#call('create', name, opts, () => {
      const existing = [...this.#containers.values()].find((one) => one.name === name)
      if (existing !== undefined) return existing.id
      const image = this.#images.get(spec.image)
      if (image === undefined) throw new RuntimeError('ImageNotFound', `no such image: ${spec.image}`)
      const serial = this.#made++
      const id = digest(`${name}/${serial}`)
      const behaviour = (this.options.script ?? runsForever)(spec)
      const changed = (isBeginning: boolean): void =>
        this.#tell(this.#containers.get(id)?.identity.podUid ?? podUid, id, isBeginning)
      const made = new HollowContainer({
        id,
        name,
        spec,
        imageId: imageId(image),
        behaviour,
        pid: 1000 + serial,
        clock: this.#clock,
        changed,
      })
      this.#containers.set(id, made)
      changed(true)
      return id
    })
  }

  start(id: string, opts: AbortOptions): Promise<void> {
    return this.#call('start', id, opts, () => this.#get(id).start())
  }

  async stop(id: string, graceMs: number, opts: AbortOptions): Promise<void> {
    const ended = await this.#call('stop', id, opts, () => ({ wait: this.#containers.get(id)?.stop(graceMs) }))
    if (ended.wait === undefined) return
    await Promise.race([ended.wait, aborted(opts.signal)])
    opts.signal.throwIfAborted()
  }

  adopt(spare: ContainerIdentity, identity: ContainerIdentity, opts: AbortOptions): Promise<boolean> {
    return this.#call('adopt', nameOf(identity), opts, () => {
      const byName = (name: string) => [...this.#containers.values()].find((one) => one.name === name)
      const container = byName(nameOf(spare))
      if (container === undefined) throw new RuntimeError('NotFound', `no such container: ${nameOf(spare)}`)
      if (byName(nameOf(identity)) !== undefined) return false
      container.adopt(nameOf(identity), identity)
      this.#tell(identity.podUid, container.id, true)
      return true
    })
  }

  remove(id: string, opts: AbortOptions): Promise<void> {
    return this.#call('remove', id, opts, () => {
      const container = this.#containers.get(id)
      if (container === undefined) return
      container.kill()
      this.#containers.delete(id)
      this.#tell(container.identity.podUid, id, false)
    })
  }

  async *events({ signal }: AbortOptions): AsyncGenerator<ContainerEvent, void, void> {
    const queue = new BoundedQueue<ContainerEvent>(eventBuffer)
    this.#subscribers.add(queue)
    queue.push({ type: 'gap' })
    try {
      yield* queue.read({ signal })
    } finally {
      this.#subscribers.delete(queue)
    }
  }

  image(ref: string, opts: AbortOptions): Promise<ImageInfo | undefined> {
    return this.#call('image', ref, opts, () => {
      const image = this.#images.get(ref)
      return image === undefined ? undefined : imageInfo(image)
    })
  }

  async images({ signal }: AbortOptions): Promise<readonly ImageInfo[]> {
    signal.throwIfAborted()
    return [...this.#images.values()].map(imageInfo)
  }

  async pull(ref: string, _auth: unknown, opts: AbortOptions): Promise<void> {
    if (this.options.pullMs !== undefined) await sleep(this.#clock, this.options.pullMs, opts.signal)
    await this.#call('pull', ref, opts, () => {
      const found = this.options.registry?.(ref) ?? { ref }
      if ('error' in found) throw new RuntimeError(found.isMissing === true ? 'ImageNotFound' : 'ImagePullFailed', found.error)
      this.#images.set(ref, found)
    })
  }

  async importImage(tag: string, _tar: Uint8Array, _config: unknown, { signal }: AbortOptions): Promise<void> {
    signal.throwIfAborted()
    this.#images.set(tag, { ref: tag })
  }

  async *logs(
    id: string,
    options: LogOptions,
    { signal }: AbortOptions,
  ): AsyncGenerator<{ readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array }, void, void> {
    signal.throwIfAborted()
    const container = this.#get(id)
    let left = options.limitBytes ?? Number.POSITIVE_INFINITY
    for (const [stream, text] of [
      ['stdout', container.behaviour.log],
      ['stderr', container.behaviour.errorLog],
    ] as const) {
      const data = tail(text ?? '', options.tailLines).subarray(0, left)
      left -= data.length
      if (data.length > 0) yield { stream, data }
    }
    if (options.follow) await Promise.race([container.ended(), aborted(signal)])
  }

  async *exec(
    id: string,
    options: ExecOptions,
    _input: AsyncIterable<ExecInput>,
    opts: AbortOptions,
  ): AsyncGenerator<ExecOutput, void, void> {
    await this.#call('exec', id, opts, () => undefined)
    const container = this.#get(id)
    if (container.state().status !== 'running') throw new RuntimeError('Conflict', `container ${id} is not running`)
    const { output, exitCode = 0, afterMs } = this.#execute(container.spec, options.command)
    if (afterMs !== undefined) await sleep(this.#clock, afterMs, opts.signal)
    if (output !== undefined) yield { type: 'stdout', data: Buffer.from(output) }
    yield { type: 'exit', code: exitCode }
  }

  #execute({ identity, image }: ContainerSpec, command: readonly string[]): ExecResult {
    return this.options.exec?.(identity.container, command, image) ?? {}
  }

  /** Ends a container as if its process had: for scripted accidents. */
  crash(id: string, exitCode = 137): void {
    this.#get(id).end(exitCode)
  }

  /** As a host reboot or a prune by hand would leave it. */
  removeImage(ref: string): void {
    this.#images.delete(ref)
  }

  /** All containers stop at once, without an event: a host that lost power. */
  powerOff(): void {
    for (const container of this.#containers.values()) container.endSilently(255)
  }

  /** Says that events may have been lost. */
  gap(): void {
    for (const queue of this.#subscribers) queue.push({ type: 'gap' })
  }

  spec(id: string): ContainerSpec {
    return this.#get(id).spec
  }

  #get(id: string): HollowContainer {
    const container = this.#containers.get(id)
    if (container === undefined) throw new RuntimeError('NotFound', `no such container: ${id}`)
    return container
  }

  #tell(podUid: string, containerId: string, isBeginning: boolean): void {
    const event = { type: 'changed', podUid, containerId, ...(isBeginning && { isBeginning }) } as const
    for (const queue of this.#subscribers) queue.push(event)
  }

  async #call<T>(call: Call, what: string, { signal }: AbortOptions, work: () => T): Promise<T> {
    signal.throwIfAborted()
    const fault = this.options.faults?.(call, what)
    if (fault === 'fails') throw new RuntimeError('Unavailable', `${call} ${what}: the engine answered with an error`)
    if (fault === 'hangs') await this.#never(signal)
    await Promise.resolve() // An engine never answers within the same tick.
    const result = work()
    if (fault === 'hangsAfterEffect') await this.#never(signal)
    if (fault === 'answerLost') throw new RuntimeError('Unavailable', `${call} ${what}: the connection was closed`)
    return result
  }

  async #never(signal: AbortSignal): Promise<void> {
    await aborted(signal)
    signal.throwIfAborted()
  }
}

function tail(text: string, count: number | undefined): Buffer {
  const lines = text.split(/(?<=\n)/)
  return Buffer.from(count === undefined ? text : lines.slice(Math.max(0, lines.length - count)).join(''))
}

const nameOf = ({ podUid, container, attempt }: ContainerIdentity): string => `${podUid}/${container}/${attempt}`
const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

/** By name: agents ask for all images every few seconds. */
const imageIds = new Map<string, string>()
const imageIdsLimit = 1000

function imageId({ ref }: HollowImage): string {
  const known = imageIds.get(ref)
  if (known !== undefined) return known
  const id = `sha256:${digest(ref)}`
  if (imageIds.size < imageIdsLimit) imageIds.set(ref, id)
  return id
}

const imageInfo = (image: HollowImage): ImageInfo => ({
  id: imageId(image),
  tags: [image.ref],
  digests: [],
  sizeBytes: 1_000_000,
  user: image.user ?? '',
  ...{ entrypoint: [], command: ['run'], variables: [] },
})
