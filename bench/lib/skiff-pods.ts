import { readFileSync } from 'node:fs'
import Docker from 'dockerode'
import { options } from '../../agent/options.ts'
import { Deployment } from '../../api/kinds/deployment.ts'
import { Pod } from '../../api/kinds/pod.ts'
import type { Client } from '../../client/client.ts'
import { httpsTransport } from '../../client/https-transport.ts'
import { parseKubeconfig } from '../../client/kubeconfig.ts'
import { createClient } from '../../client/typed-client.ts'
import { systemClock } from '../../lib/clock.ts'
import { timed } from './figures.ts'
import { image, script } from './workload.ts'

const namespace = 'default'
/** What an agent keeps ready unless it is told otherwise. */
const spareSandboxes = Number(options.spareSandboxes.default)
/** One is made in less. */
const stillMs = 1500
const container = { name: 'main', image, imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', script] } as const

/** Asks a running cluster through its HTTPS API, and listens with a watch: nothing is polled. */
export class SkiffPods implements AsyncDisposable {
  readonly #client: Client
  readonly #end = new AbortController()
  readonly #close: () => Promise<void> | void
  readonly #docker: Docker

  constructor(kubeconfig: string, socketPath: string) {
    const config = parseKubeconfig(readFileSync(kubeconfig, 'utf8'), { file: kubeconfig })
    const transport = httpsTransport({ ...config, clock: systemClock })
    this.#client = createClient(transport)
    this.#close = () => transport.close()
    this.#docker = new Docker({ socketPath })
  }

  /**
   * Until the agent makes no more sandboxes ahead, so that their making slows nobody who is measured. How many are ready
   * then.
   */
  async rested(): Promise<number> {
    for (let before = -1, since = performance.now(); ; ) {
      const ready = (await this.#docker.listContainers({ filters: { name: ['^/skiff_POD_spare__'] } })).length
      if (ready !== before) since = performance.now()
      else if (ready >= spareSandboxes && performance.now() - since > stillMs) return ready
      before = ready
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  /** From the request until the watch says that it is ready. */
  async create(name: string): Promise<number> {
    const { signal } = this.#end
    const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec: { containers: [container] } }
    const watching = this.#watchPods((pod) => pod.metadata.name === name && isReady(pod))
    await watching.started
    return await timed(async () => {
      await this.#client.create(Pod, object as unknown as Pod, { signal })
      await watching.seen
    })
  }

  /** From the request until the engine has removed the container, and until the object is gone from the API. */
  async delete(name: string): Promise<{ readonly containerMs: number; readonly objectMs: number }> {
    const { signal } = this.#end
    const { metadata, status } = await this.#client.get(Pod, { namespace, name }, { signal })
    const id = status?.containerStatuses?.[0]?.containerID?.replace('docker://', '') ?? ''
    const gone = await this.#destroyed(id)
    const watching = this.#watchPods((object, type) => type === 'DELETED' && object.metadata.uid === metadata.uid)
    await watching.started
    const startedMs = performance.now()
    const since = (what: Promise<unknown>): Promise<number> => what.then(() => performance.now() - startedMs)
    const [containerMs, objectMs] = await Promise.all([
      since(gone.event),
      since(watching.seen),
      this.#client.delete(Pod, { namespace, name }, { signal }),
    ])
    return { containerMs, objectMs }
  }

  /**
   * A deployment scaled from none until all replicas are ready: when each was, from the request on. It is removed again,
   * which does not count.
   */
  async many(count: number): Promise<readonly number[]> {
    const name = `many-${count}`
    const { signal } = this.#end
    const labels = { app: name }
    const template = { metadata: { labels }, spec: { containers: [container] } }
    const spec = { replicas: 0, selector: { matchLabels: labels }, template }
    const made = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace }, spec }
    await this.#client.create(Deployment, made as unknown as Deployment, { signal })
    const took = await this.#scale(name, count)
    await this.#client.delete(Deployment, { namespace, name }, { signal, propagationPolicy: 'Foreground' })
    await this.#untilNoPods()
    return took
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error('done'))
    await this.#close()
  }

  /** Listens before it resolves; what it gives resolves when the engine says that the container is removed. */
  async #destroyed(id: string): Promise<{ readonly event: Promise<void> }> {
    const stream = await this.#docker.getEvents({ filters: { container: [id], event: ['destroy'] } })
    const event = new Promise<void>((resolve, reject) => {
      stream.once('data', () => resolve())
      stream.once('error', reject)
    }).finally(() => {
      if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy()
    })
    // Wrapped, or awaiting this function would await the event.
    return { event }
  }

  #watchPods(isIt: (pod: Pod, type: string) => boolean): { readonly started: Promise<void>; readonly seen: Promise<void> } {
    const { signal } = this.#end
    let start: () => void = () => undefined
    const started = new Promise<void>((resolve) => {
      start = resolve
    })
    const look = async (): Promise<void> => {
      const { metadata } = await this.#client.list(Pod, { namespace, signal })
      const { resourceVersion = '' } = metadata
      start()
      for await (const { events } of this.#client.watch(Pod, { namespace, resourceVersion, signal }))
        if (events.some(({ type, object }) => isIt(object, type))) return
    }
    return { started, seen: look() }
  }

  async #scale(name: string, replicas: number): Promise<readonly number[]> {
    const { signal } = this.#end
    const atMs = new Map<string | undefined, number>()
    const watching = this.#watchPods((pod) => {
      if (isReady(pod) && !atMs.has(pod.metadata.uid)) atMs.set(pod.metadata.uid, performance.now())
      return atMs.size === replicas
    })
    await watching.started
    const beginMs = performance.now()
    await this.#client.patch(Deployment, { namespace, name }, { type: 'merge', body: { spec: { replicas } } }, { signal })
    await watching.seen
    return [...atMs.values()].map((readyMs) => readyMs - beginMs)
  }

  async #untilNoPods(): Promise<void> {
    const { signal } = this.#end
    while ((await this.#client.list(Pod, { namespace, signal })).items.length > 0)
      await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true
