import { dismissedAnnotation, parseDismissed } from '../../api/derive/unlisted-pods.ts'
import { configMapKey, secretKey, usedConfigs } from '../../api/derive/used-configs.ts'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { Secret } from '../../api/kinds/secret.ts'
import { Service as ServiceKind } from '../../api/kinds/service.ts'
import { unavailable } from '../../api/meta/status.ts'
import type { ContainerRef, ExecInput, ExecOptions, ExecOutput, LogOptions, PodStreams } from '../../api/meta/streams.ts'
import type { EventReport, PodStatusReport, ServiceTable, StreamUp } from '../../api/proto/agent.ts'
import type { Client } from '../../client/client.ts'
import type { EventRecorder } from '../../client/events.ts'
import type { Informer } from '../../client/informer.ts'
import type { Informers } from '../../client/informers.ts'
import { type AbortOptions, aborted, withDeadline } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Metrics } from '../../lib/metrics.ts'
import { type Random, uuid } from '../../lib/random.ts'
import type { Service } from '../../lib/service.ts'
import { Slots } from '../../lib/slots.ts'
import { Denied, type Listen, type SessionLine } from './line.ts'
import { NodeRegistration } from './node-registration.ts'
import { NodeSession } from './node-session.ts'
import { NodeView } from './node-view.ts'
import { PodCidrs } from './pod-cidr.ts'
import { storePodStatus } from './pod-status.ts'
import { GatewayStreams, type StreamCall } from './pod-streams.ts'
import { serviceTable } from './service-table.ts'

export interface GatewayOptions {
  /** Under the control plane's identity. */
  readonly client: Client
  /** Under a node's own identity: the registry lets it do only what concerns itself. */
  readonly clientFor: (node: string) => Client
  readonly informers: Informers
  readonly events: EventRecorder
  readonly clusterUid: string
  /** Of the leader as far as this process knows: grows with each election. */
  readonly epoch: () => number
  /** The revision of the election: no node is told anything before the informers have reached it (law 3). */
  readonly startRevision?: () => number
  /** Of the store: another one when it was restored. */
  readonly incarnation?: () => string
  /**
   * Called when an agent has obeyed an epoch above ours, as after a restore of the store. Lifts ours above it if we
   * lead for certain; rejects otherwise. Absent: such an agent refuses us.
   */
  readonly liftEpoch?: (above: bigint, opts: AbortOptions) => Promise<void>
  readonly clusterCidr: string
  readonly serviceCidr: string
  readonly heartbeatMs?: number
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

export interface Gateway extends Service, PodStreams {
  /** The port listened on, while running. */
  readonly port: number | undefined
  /** Names of nodes with a session. */
  readonly nodes: readonly string[]
  /** Of nodes with a session: when the certificates end that they have shown, in epoch milliseconds. */
  readonly nodeCertificates: readonly NodeCertificate[]
  /** Asks every node with a session to renew its certificate now. */
  renewNodeCertificates(): void
}

export interface NodeCertificate {
  readonly node: string
  readonly endMs: number | undefined
}

const maxSessions = 10_000
const helloDeadlineMs = 15_000
/** Changes of services come in bursts; each table is complete, so one at the end of a burst is enough. */
const servicesDelayMs = 20
/** Nodes that are registered at a time: when all come at once, those who have begun are done before they give up. */
const registrationsAtOnce = 16
const byNode = 'gateway-node'
const byConfig = 'gateway-config'

/** The agents' side of the control plane. Ask for it before the informers are run. */
export function createGateway(listen: Listen, options: GatewayOptions): Gateway {
  return new SessionGateway(listen, options)
}

class SessionGateway implements Gateway {
  readonly name = 'gateway'
  readonly #listen: Listen
  readonly #options: GatewayOptions
  readonly #podCidrs: PodCidrs
  readonly #prefix: string
  readonly #nodes: Informer<Node>
  readonly #pods: Informer<Pod>
  readonly #configMaps: Informer<ConfigMap>
  readonly #secrets: Informer<Secret>
  readonly #services: Informer<ServiceKind>
  readonly #slices: Informer<EndpointSlice>
  readonly #sessions = new Map<string, NodeSession>()
  /** Outlive the sessions, so that one can be resumed. Bounded by the number of nodes that have been here. */
  readonly #views = new Map<string, NodeView>()
  readonly #registrations = new Slots(registrationsAtOnce)
  #viewsMade = 0
  /** Of the store that the views are of: an agent that hears of another one forgets how far it had come. */
  #viewsOf = ''
  readonly #streams: GatewayStreams
  readonly #sessionGauge
  readonly #sessionEnds
  #table: ServiceTable | undefined
  #tableTimer: Disposable | undefined
  #port: number | undefined

  constructor(listen: Listen, options: GatewayOptions) {
    this.#listen = listen
    this.#options = options
    const { informers, clusterCidr, clock, random, metrics } = options
    this.#podCidrs = new PodCidrs(options.client, clusterCidr)
    this.#prefix = uuid(random).slice(0, 8)
    this.#nodes = informers.for(Node)
    this.#pods = informers.for(Pod)
    this.#pods.addIndex(byNode, ({ spec }) => (spec.nodeName === undefined ? [] : [spec.nodeName]))
    this.#pods.addIndex(byConfig, (pod) => (pod.spec.nodeName === undefined ? [] : usedConfigs(pod)))
    this.#configMaps = informers.for(ConfigMap)
    this.#secrets = informers.for(Secret)
    this.#services = informers.for(ServiceKind)
    this.#slices = informers.for(EndpointSlice)
    const sender = {
      open: async (node: string, request: Parameters<NodeSession['open']>[0], signal: AbortSignal) => {
        const session = this.#sessions.get(node)
        if (session === undefined) throw unavailable(`node "${node}" is not connected to the control plane`)
        await session.open(request, signal)
      },
      cancel: (node: string, id: string) => this.#sessions.get(node)?.cancel(id),
    }
    this.#streams = new GatewayStreams({ clock, random, sender })
    this.#sessionGauge = metrics.gauge('gateway_sessions', 'Nodes with a session')
    const waiting = metrics.gauge('gateway_registrations_waiting', 'Nodes that wait to be registered')
    metrics.onRender(() => waiting.set(this.#registrations.waiting))
    this.#sessionEnds = metrics.counter('gateway_session_ends_total', 'Sessions that have ended', { why: ['refused', 'ended'] })
  }

  get port(): number | undefined {
    return this.#port
  }

  get nodes(): readonly string[] {
    return [...this.#sessions.keys()]
  }

  get nodeCertificates(): readonly NodeCertificate[] {
    return [...this.#sessions.values()].map(({ node, certificateEndMs: endMs }) => ({ node, endMs }))
  }

  renewNodeCertificates(): void {
    for (const session of this.#sessions.values()) session.renewCertificate()
  }

  log(ref: ContainerRef, options: LogOptions, opts: { readonly signal: AbortSignal }): AsyncIterable<Uint8Array> {
    return this.#streams.log(ref, options, opts)
  }

  exec(
    ref: ContainerRef,
    options: ExecOptions,
    input: AsyncIterable<ExecInput>,
    opts: { readonly signal: AbortSignal },
  ): AsyncIterable<ExecOutput> {
    return this.#streams.exec(ref, options, input, opts)
  }

  async run(signal: AbortSignal): Promise<void> {
    // While nobody was led from here services have changed.
    this.#table = undefined
    using _ = this.#subscribe()
    const listener = await this.#listen({
      session: (line) => this.#serveSession(line, signal),
      stream: (node, call) => this.#serveStream(node, call),
    })
    try {
      this.#port = listener.port
      this.#options.log.info('gateway listening', { port: this.#port })
      await aborted(signal)
    } finally {
      for (const session of this.#sessions.values()) session.close('the control plane is stopping')
      this.#tableTimer?.[Symbol.dispose]()
      this.#tableTimer = undefined
      this.#port = undefined
      listener.close()
    }
  }

  #subscribe(): Disposable {
    const ringUsers = (key: string): void => {
      for (const pod of this.#pods.byIndex(byConfig, key)) this.#ring(pod.spec.nodeName)
    }
    const keyed = (object: ConfigMap | Secret | undefined, keyOf: (namespace: string, name: string) => string): void =>
      ringUsers(keyOf(object?.metadata.namespace ?? '', object?.metadata.name ?? ''))
    const staleTable = (): void => this.#staleTable()
    const subscriptions = new DisposableStack()
    for (const one of [
      this.#pods.onChange(({ old, new: now }) => {
        this.#ring(now?.spec.nodeName ?? old?.spec.nodeName)
      }),
      this.#nodes.onChange(({ old, new: now }) => {
        if (now !== undefined && dismissedIn(now) !== dismissedIn(old)) this.#ring(now.metadata.name)
      }),
      this.#configMaps.onChange(({ old, new: now }) => keyed(now ?? old, configMapKey)),
      this.#secrets.onChange(({ old, new: now }) => keyed(now ?? old, secretKey)),
      this.#services.onChange(staleTable),
      this.#slices.onChange(staleTable),
    ])
      subscriptions.use(one)
    return subscriptions
  }

  #ring(node: string | undefined): void {
    if (node !== undefined) this.#sessions.get(node)?.ring()
  }

  #staleTable(): void {
    this.#tableTimer ??= this.#options.clock.after(servicesDelayMs, () => {
      this.#tableTimer = undefined
      this.#table = undefined
      for (const session of this.#sessions.values()) session.ring()
    })
  }

  /** The same object for as long as nothing has changed. */
  #serviceTable(): ServiceTable {
    this.#table ??= serviceTable(
      this.#services.list(),
      this.#slices.list(),
      Math.min(this.#services.revision, this.#slices.revision),
    )
    return this.#table
  }

  /** Rejects with why the session ended. */
  async #serveSession(line: SessionLine, signal: AbortSignal): Promise<void> {
    const { log, clock } = this.#options
    const { node } = line
    let session: NodeSession | undefined
    try {
      if (node === undefined) throw new Denied('the certificate is not that of a node')
      const deadline = { clock, ms: helloDeadlineMs, signal, what: 'waiting for hello' }
      const first = (await withDeadline(deadline, () => line.messages.next())).value?.message
      if (first?.$case !== 'hello') throw new Denied('a session begins with hello')
      if (first.value.node !== node) throw new Denied(`the certificate is that of node "${node}", not of "${first.value.node}"`)
      await this.#outrank(node, first.value.epoch, signal)
      session = this.#openSession(node, line)
      line.onGone(() => session?.close('the connection is gone'))
      await session.run(first.value)
    } catch (err) {
      log[err instanceof Denied ? 'warn' : 'info']('node session ended', { node, err })
      this.#sessionEnds.inc({ why: err instanceof Denied ? 'refused' : 'ended' })
      throw err
    } finally {
      if (node !== undefined && this.#sessions.get(node) === session) this.#sessions.delete(node)
      this.#sessionGauge.set(this.#sessions.size)
    }
  }

  /** An agent that has obeyed a higher epoch refuses ours, although after a restore of the store nobody else leads. */
  async #outrank(node: string, epoch: bigint, signal: AbortSignal): Promise<void> {
    const { epoch: own, liftEpoch, log, clock } = this.#options
    if (epoch <= BigInt(own()) || liftEpoch === undefined) return
    log.warn('a node has obeyed a control plane that this store knows nothing of', { node, epoch, ownEpoch: own() })
    const deadline = { clock, ms: helloDeadlineMs, signal, what: 'lifting the epoch' }
    await withDeadline(deadline, (inner) => liftEpoch(epoch, { signal: inner }))
  }

  #openSession(node: string, line: SessionLine): NodeSession {
    if (this.#sessions.size >= maxSessions && !this.#sessions.has(node)) throw new Denied('too many nodes have a session')
    this.#sessions.get(node)?.close('a newer session of this node has replaced it')
    const { client, clientFor, informers, clock, log, events, clusterUid, epoch, serviceCidr, clusterCidr } = this.#options
    const { incarnation = () => '', startRevision = () => 0, heartbeatMs = 5000 } = this.#options
    const own = clientFor(node)
    const view = this.#viewOf(node)
    const session = new NodeSession(node, line, {
      clock,
      log,
      heartbeatMs,
      registration: new NodeRegistration(node, {
        client: own,
        controlPlane: client,
        clock,
        podCidrs: this.#podCidrs,
        cached: () => this.#nodes.get(node),
      }),
      registrations: this.#registrations,
      view,
      welcome: (podCidr) => ({
        epoch: BigInt(epoch()),
        clusterUid,
        podCidr,
        heartbeatIntervalMs: heartbeatMs,
        serviceCidr,
        clusterCidr,
        incarnation: incarnation(),
      }),
      synced: (signal) => informers.waitFor(Math.max(1, startRevision()), { signal }),
      wanted: () => ({
        pods: this.#pods.byIndex(byNode, node),
        config: (key) => this.#config(key),
        revision: this.#pods.revision,
        dismissed: parseDismissed(dismissedIn(this.#nodes.get(node))),
      }),
      services: () => this.#serviceTable(),
      storeStatus: (report, signal) => {
        if (this.#isOthers(node, report)) {
          view.withdraw(report.uid)
          session.ring()
        }
        return storePodStatus({ client: own, cached: (key) => this.#pods.get(key) }, node, report, { signal })
      },
      record: (event) => recordEvent(events, node, event),
    })
    this.#sessions.set(node, session)
    this.#sessionGauge.set(this.#sessions.size)
    return session
  }

  /** Bound to another node: that never changes while this store goes on. */
  #isOthers(node: string, { namespace, name, uid }: PodStatusReport): boolean {
    const pod = this.#pods.get(`${namespace}/${name}`)
    return pod?.metadata.uid === uid && pod.spec.nodeName !== undefined && pod.spec.nodeName !== node
  }

  #viewOf(node: string): NodeView {
    const incarnation = this.#options.incarnation?.() ?? ''
    if (incarnation !== this.#viewsOf) this.#views.clear()
    this.#viewsOf = incarnation
    const view = this.#views.get(node) ?? new NodeView(`${this.#prefix}.${this.#viewsMade++}`)
    this.#views.delete(node)
    this.#views.set(node, view)
    if (this.#views.size > maxSessions) for (const oldest of this.#views.keys().take(1)) this.#views.delete(oldest)
    return view
  }

  #config(key: string): ConfigMap | Secret | undefined {
    const at = key.indexOf('/')
    const informer = key.startsWith('secret/') ? this.#secrets : this.#configMaps
    return informer.get(key.slice(at + 1))
  }

  async #serveStream(node: string | undefined, call: StreamCall): Promise<void> {
    if (node === undefined) throw new Denied('the certificate is not that of a node')
    const id = await firstId(call, this.#options.clock)
    if (!this.#streams.arrive(node, id, call)) throw new Denied('nobody waits for this stream')
  }
}

const dismissedIn = (node: Node | undefined): string | undefined => node?.metadata.annotations?.[dismissedAnnotation]

/** The first message without ending the stream, so that whoever takes the call over reads on from there. */
async function firstId(call: StreamCall, clock: Clock): Promise<string> {
  const deadline = { clock, ms: helloDeadlineMs, signal: new AbortController().signal, what: 'waiting for the start of a stream' }
  return await withDeadline(
    deadline,
    () =>
      new Promise<string>((resolve, reject) => {
        call.once('end', () => reject(new Denied('a stream begins with its id')))
        call.once('readable', () => {
          const first: StreamUp | null = call.read()
          if (first?.message?.$case === 'start') resolve(first.message.value.id)
          else reject(new Denied('a stream begins with its id'))
        })
      }),
  )
}

function recordEvent(events: EventRecorder, node: string, report: EventReport): void {
  const isNode = report.objectKind === 'Node'
  const metadata = isNode ? { name: node } : { name: report.objectName, namespace: report.objectNamespace, uid: report.objectUid }
  events.record(
    { apiVersion: 'v1', kind: isNode ? 'Node' : 'Pod', metadata },
    {
      type: report.type === 'Warning' ? 'Warning' : 'Normal',
      reason: report.reason,
      message: report.message,
      ...(report.fieldPath === '' ? {} : { fieldPath: report.fieldPath }),
    },
  )
}
