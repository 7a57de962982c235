import type { Node } from '../../api/kinds/node.ts'
import type { NodeStatus } from '../../api/kinds/node-status.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import type { PodStatus } from '../../api/kinds/pod-status.ts'
import type { AgentMessage, Assignments, EventReport, Welcome } from '../../api/proto/agent.ts'
import { sleep, withDeadline } from '../../lib/async.ts'
import { Backoff } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import { LatestByKey } from '../../lib/latest.ts'
import type { Log } from '../../lib/log.ts'
import type { Metrics } from '../../lib/metrics.ts'
import { type Random, uuid } from '../../lib/random.ts'
import type { Service } from '../../lib/service.ts'
import type { PodEvent, Reporter } from '../contracts.ts'
import type { DesiredStore } from '../desired/desired-store.ts'
import { type AgentLine, type ClientTls, dial, type Link } from './channel.ts'
import { DropOldest, StatusOutbox } from './outbox.ts'
import { PodStreamCalls, type StreamSources } from './pod-stream.ts'

export interface SessionOptions {
  readonly node: string
  readonly version: string
  /** `host:port` of control planes, tried in turn. */
  readonly addresses: readonly string[]
  /** Asked at each connect, so that a renewed certificate is taken up. */
  readonly tls: () => ClientTls | Promise<ClientTls>
  /** Name in the server's certificate, where it is not that of the address. */
  readonly serverName?: string
  /** How an address is reached; by gRPC unless said otherwise. */
  readonly dial?: (address: string) => Link
  /** What a link is passed through, if anything. */
  readonly through?: (link: Link) => Link
  /** Called when the control plane asks for a renewal of the certificate. */
  readonly renewCertificate?: () => void
  readonly desired: DesiredStore
  /** v1.Node with labels, capacity, addresses, conditions…, asked at each connect. */
  readonly nodeObject: () => Promise<Node>
  readonly streams: StreamSources
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

/** The agent's one line to the control plane. */
export interface Session extends Service, Reporter {
  readonly isConnected: boolean
  /** Pod statuses that the control plane has not stored yet. */
  readonly unreceived: number
  /** Replaces the unsent one. */
  nodeStatus(status: NodeStatus): void
  nodeEvent(event: PodEvent): void
  /** Opens a new session in place of the one that is open. */
  reconnect(why: string): void
}

/**
 * One that cannot be reached holds up the search for the one that leads no longer than this. Where there is no other, or
 * none of all could be reached, it may be that each is busy with as many nodes as there are: then each has more time.
 */
const connectDeadlinesMs = { search: 4_000, patient: 8_000 }
const welcomeDeadlineMs = 15_000
const defaultHeartbeatMs = 5000
const receiptPatienceMs = 15_000
/** Everything is told again now and then, whether or not it was stored (law 5). */
const repeatMs = 60_000
const maxEvents = 1000
/** Events are about what goes on at that moment, and are stored when it has passed. */
const eventHoldMs = 250

export function createSession(options: SessionOptions): Session {
  return new AgentSession(options)
}

class AgentSession implements Session {
  readonly name = 'session'
  readonly #options: SessionOptions
  readonly #instance: string
  readonly #statuses: StatusOutbox
  readonly #nodeStatus = new LatestByKey<string>()
  readonly #events = new DropOldest<EventReport>(maxEvents)
  readonly #streams: PodStreamCalls
  readonly #backoff: Backoff
  readonly #connected
  readonly #opened
  #isConnected = false
  /** Tries since there was a session. */
  #tries = 0
  #repeatedMs = 0
  #current: AbortController | undefined
  #lastNodeStatus: string | undefined

  constructor(options: SessionOptions) {
    this.#options = options
    const { clock, random, metrics } = options
    this.#instance = uuid(random)
    this.#statuses = new StatusOutbox(clock)
    this.#streams = new PodStreamCalls(options.streams, options.log)
    this.#backoff = new Backoff({ baseMs: 250, maxMs: 10_000, jitter: 0.5, random, clock })
    this.#connected = metrics.gauge('agent_session_connected', 'Whether a session with a control plane is open')
    this.#opened = metrics.counter('agent_sessions_total', 'Sessions by how they ended', {
      end: ['failed', 'refused', 'stopped'],
    })
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  get unreceived(): number {
    return this.#statuses.waiting
  }

  status({ metadata }: Pod, status: PodStatus, terminated: boolean): void {
    const { uid = '', namespace = '', name = '' } = metadata
    const report = { uid, namespace, name, statusJson: JSON.stringify(status), terminated }
    if (status.phase === 'Pending' && !terminated) this.#statuses.setSoon(report)
    else this.#statuses.set(report)
  }

  event({ metadata }: Pod, event: PodEvent): void {
    const { uid = '', namespace = '', name = '' } = metadata
    this.#pushEvent({ objectKind: 'Pod', objectNamespace: namespace, objectName: name, objectUid: uid }, event)
  }

  nodeEvent(event: PodEvent): void {
    this.#pushEvent({ objectKind: 'Node', objectNamespace: '', objectName: this.#options.node, objectUid: '' }, event)
  }

  nodeStatus(status: NodeStatus): void {
    const json = JSON.stringify(status)
    if (json === this.#lastNodeStatus) return
    this.#lastNodeStatus = json
    this.#nodeStatus.set('node', json)
  }

  reconnect(why: string): void {
    this.#current?.abort(new Reconnect(why))
  }

  #pushEvent(
    object: Pick<EventReport, 'objectKind' | 'objectNamespace' | 'objectName' | 'objectUid'>,
    { type, reason, message, fieldPath = '' }: PodEvent,
  ): void {
    this.#events.push({ ...object, type, reason, message, fieldPath })
  }

  async run(signal: AbortSignal): Promise<void> {
    const { addresses, clock } = this.#options
    for (let attempt = 0; !signal.aborted; attempt++) {
      const address = addresses[attempt % addresses.length] ?? ''
      await this.#connect(address, signal).catch((err: unknown) => this.#tellEnd(address, err, signal))
      if (!signal.aborted) await sleep(clock, this.#backoff.next('connect'), signal).catch(() => undefined) // The loop ends.
    }
  }

  #tellEnd(address: string, err: unknown, signal: AbortSignal): void {
    const { log } = this.#options
    const end = signal.aborted || err instanceof Reconnect ? 'stopped' : err instanceof Refused ? 'refused' : 'failed'
    this.#opened.inc({ end })
    if (end === 'refused') log.error('refusing a control plane', { address, err })
    else if (err instanceof Reconnect) log.info('opening a new session', { address, why: err.message })
    else if (end === 'failed') log.warn('no session with the control plane', { address, err })
  }

  /** One session, from dialling to its end; always rejects. */
  async #connect(address: string, signal: AbortSignal): Promise<void> {
    const { tls, serverName, through = (link: Link) => link } = this.#options
    const ended = new AbortController()
    this.#current = ended
    const link = through(this.#options.dial?.(address) ?? dial({ address, tls: await tls(), serverName }))
    const stop = (): void => ended.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    try {
      await this.#converse(link, ended)
    } finally {
      ended.abort(new Error('the session has ended'))
      this.#isConnected = false
      this.#connected.set(0)
      signal.removeEventListener('abort', stop)
      link.close()
    }
  }

  async #converse(link: Link, ended: AbortController): Promise<void> {
    const { clock, log } = this.#options
    const { signal } = ended
    signal.throwIfAborted()
    const { length } = this.#options.addresses
    const ms = length > 1 && this.#tries++ < length ? connectDeadlinesMs.search : connectDeadlinesMs.patient
    await withDeadline({ clock, ms, signal, what: 'reaching the control plane' }, async () => link.connected?.())
    const line = link.session()
    signal.addEventListener('abort', () => line.cancel(), { once: true })
    const welcome = await withDeadline({ clock, ms: welcomeDeadlineMs, signal, what: 'opening a session' }, async () => {
      await this.#sendHello(line, signal)
      const first = (await line.messages.next()).value?.message
      if (first?.$case !== 'welcome') throw new Error('the control plane did not begin with a welcome')
      return first.value
    })
    this.#accept(welcome)
    log.info('session opened', { epoch: welcome.epoch, podCidr: welcome.podCidr })
    const heartbeatMs = welcome.heartbeatIntervalMs || defaultHeartbeatMs
    const pulse = { heardMs: clock.monotonicMs() }
    await firstToEnd(ended, [
      () => this.#read(line, { pulse, link, signal }),
      () => this.#beat(line, { pulse, heartbeatMs, signal }),
      () => this.#sendStatuses(line, signal),
      () => this.#sendNodeStatus(line, signal),
      () => this.#sendEvents(line, signal),
    ])
  }

  async #sendHello(line: AgentLine, signal: AbortSignal): Promise<void> {
    const { node, version, desired, nodeObject } = this.#options
    const { epoch, network } = desired.position
    // An agent that was started anew asks for everything: it may have begun what never came to its disk.
    const resultsIn = desired.hasHeardAll ? desired.position.resultsIn : ''
    const nodeJson = JSON.stringify(await nodeObject())
    const { podCidr } = network
    const value = { node, agentVersion: version, instance: this.#instance, nodeJson, epoch, resultsIn, podCidr }
    await send(line, { $case: 'hello', value }, signal)
  }

  #accept(welcome: Welcome): void {
    const refusal = this.#options.desired.refusal(welcome)
    if (refusal !== undefined) throw new Refused(refusal)
    this.#options.desired.welcome(welcome)
    this.#backoff.forget('connect')
    this.#tries = 0
    this.#isConnected = true
    this.#connected.set(1)
    this.#statuses.sendAgain(0)
    this.#repeatStatuses()
    if (this.#lastNodeStatus !== undefined) this.#nodeStatus.putBack('node', this.#lastNodeStatus)
  }

  async #read(
    line: AgentLine,
    { pulse, link, signal }: { pulse: { heardMs: number }; link: Link; signal: AbortSignal },
  ): Promise<void> {
    const { messages } = line
    for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
      pulse.heardMs = this.#options.clock.monotonicMs()
      const { message } = next.value
      if (message?.$case === 'assignments') await this.#apply(line, message.value, signal)
      else if (message?.$case === 'services') this.#options.desired.setServices(message.value)
      else if (message?.$case === 'podStatusReceipt') this.#statuses.received(message.value.uid, message.value.sequence)
      else if (message?.$case === 'renewCertificate') this.#options.renewCertificate?.()
      else if (message?.$case === 'cancelStream') this.#streams.cancel(message.value.id)
      // Reports its failures to whoever asked for the stream.
      else if (message?.$case === 'openStream') void this.#streams.serve(link, message.value, { signal })
    }
    throw new Error('the control plane ended the session')
  }

  async #apply(line: AgentLine, assignments: Assignments, signal: AbortSignal): Promise<void> {
    const { outcome } = this.#options.desired.apply(assignments)
    if (outcome === 'brokenChain')
      throw new Error(`increments do not chain: it applies to "${assignments.appliesTo}", asking for a complete set`)
    await send(line, { $case: 'applied', value: { resultsIn: assignments.resultsIn } }, signal)
  }

  /** Heartbeats out, and the dead man's switch: a control plane that answers none of them is left. */
  async #beat(
    line: AgentLine,
    { pulse, heartbeatMs, signal }: { pulse: { heardMs: number }; heartbeatMs: number; signal: AbortSignal },
  ): Promise<void> {
    const { clock } = this.#options
    const patienceMs = 3 * heartbeatMs + 1000
    for (let sequence = 1n; ; sequence++) {
      await send(line, { $case: 'heartbeat', value: { sequence } }, signal)
      await sleep(clock, heartbeatMs, signal)
      const silentMs = clock.monotonicMs() - pulse.heardMs
      if (silentMs > patienceMs) throw new Error(`nothing heard from the control plane for ${Math.round(silentMs)} ms`)
      this.#statuses.sendAgain(receiptPatienceMs)
      if (clock.monotonicMs() - this.#repeatedMs >= repeatMs) this.#repeatStatuses()
    }
  }

  #repeatStatuses(): void {
    this.#repeatedMs = this.#options.clock.monotonicMs()
    this.#statuses.repeat((uid) => this.#options.desired.pod(uid) !== undefined)
  }

  async #sendStatuses(line: AgentLine, signal: AbortSignal): Promise<void> {
    for (;;) {
      for (const value of await this.#statuses.take({ signal })) await send(line, { $case: 'podStatus', value }, signal)
    }
  }

  async #sendNodeStatus(line: AgentLine, signal: AbortSignal): Promise<void> {
    for (;;) {
      for (const statusJson of (await this.#nodeStatus.take({ signal })).values())
        await send(line, { $case: 'nodeStatus', value: { statusJson } }, signal)
    }
  }

  async #sendEvents(line: AgentLine, signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#events.filled({ signal })
      await sleep(this.#options.clock, eventHoldMs, signal)
      for (const value of this.#events.take()) await send(line, { $case: 'event', value }, signal)
    }
  }
}

/** The session was ended for a new one. */
class Reconnect extends Error {
  override readonly name = 'Reconnect'
}

/** A control plane that must not be obeyed. */
class Refused extends Error {
  override readonly name = 'Refused'
}

const send = (line: AgentLine, message: AgentMessage['message'], signal: AbortSignal): Promise<void> =>
  line.send({ message }, { signal })

/** Runs all tasks; when the first one ends, aborts the others, waits for them and rejects with what ended the session. */
async function firstToEnd(ended: AbortController, tasks: readonly (() => Promise<void>)[]): Promise<never> {
  const all = tasks.map(async (task) => {
    try {
      await task()
      ended.abort(new Error('the session has ended'))
    } catch (err) {
      ended.abort(err) // Only the first reason counts.
    }
  })
  await Promise.all(all)
  throw ended.signal.reason
}
