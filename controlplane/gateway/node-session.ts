import type { NodeStatus } from '../../api/kinds/node-status.ts'
import { isInvalid, StatusError } from '../../api/meta/status.ts'
import type {
  AgentMessage,
  ControlMessage,
  EventReport,
  Hello,
  OpenStream,
  PodStatusReport,
  ServiceTable,
  Welcome,
} from '../../api/proto/agent.ts'
import {
  type AbortOptions,
  Bell,
  forEachLimit,
  isAbort,
  LinkedAbort,
  sleep,
  TimeoutError,
  withDeadline,
} from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import { LatestByKey } from '../../lib/latest.ts'
import type { Log } from '../../lib/log.ts'
import type { Slots } from '../../lib/slots.ts'
import type { SessionLine } from './line.ts'
import { type NodeRegistration, parseJson, parseNode } from './node-registration.ts'
import type { NodeView, Wanted } from './node-view.ts'

export interface NodeSessionDeps {
  readonly clock: Clock
  readonly log: Log
  readonly registration: NodeRegistration
  /** Bounds those of all nodes. */
  readonly registrations: Slots
  readonly view: NodeView
  readonly heartbeatMs: number
  welcome(podCidr: string): Welcome
  /** Resolves when the informers know everything that was there when this control plane was elected. */
  synced(signal: AbortSignal): Promise<void>
  wanted(): Wanted
  services(): ServiceTable
  storeStatus(report: PodStatusReport, signal: AbortSignal): Promise<void>
  record(event: EventReport): void
}

const callDeadlineMs = 20_000
/** An agent waits 15 s for its welcome: begun later, its registration would be in vain. */
const registrationWaitMs = 10_000
const leaseEveryMs = 10_000
const statusWriters = 8
const retryMs = 1000

/** One open session of one node. */
export class NodeSession {
  readonly node: string
  readonly #line: SessionLine
  readonly #deps: NodeSessionDeps
  readonly #ended = new AbortController()
  readonly #changed = new Bell()
  readonly #statuses = new LatestByKey<PodStatusReport>()
  readonly #nodeStatus = new LatestByKey<string>()
  #servicesSent: ServiceTable | undefined
  #leaseAtMs: number | undefined
  #isRenewing = false

  constructor(node: string, line: SessionLine, deps: NodeSessionDeps) {
    this.node = node
    this.#line = line
    this.#deps = deps
  }

  get certificateEndMs(): number | undefined {
    return this.#line.certificateEndMs
  }

  renewCertificate(): void {
    // A session that cannot take it any more ends, and the agent looks at its certificate by itself.
    this.#send({ $case: 'renewCertificate', value: {} }).catch(() => undefined)
  }

  /** Something that this node may have to know has changed. */
  ring(): void {
    this.#changed.ring()
  }

  close(why: string): void {
    this.#ended.abort(new Error(why))
  }

  async open(request: OpenStream, signal: AbortSignal): Promise<void> {
    await this.#send({ $case: 'openStream', value: request }, AbortSignal.any([signal, this.#ended.signal]))
  }

  cancel(id: string): void {
    // A session that cannot take it any more ends its streams by itself.
    this.#send({ $case: 'cancelStream', value: { id } }).catch(() => undefined)
  }

  /** Serves the session from its hello to its end. Rejects with why it ended. */
  async run(hello: Hello): Promise<void> {
    const { registration, view, welcome, synced, clock, log } = this.#deps
    const { signal } = this.#ended
    const node = parseNode(hello.nodeJson, this.node)
    const held = hello.podCidr === '' ? {} : { held: hello.podCidr }
    const podCidr = await this.#inTurn((opts) => registration.register(node, { ...opts, ...held }))
    this.#leaseAtMs = clock.monotonicMs()
    await this.#send({ $case: 'welcome', value: welcome(podCidr) })
    log.info('node session opened', { node: this.node, instance: hello.instance, podCidr })
    await synced(signal)
    view.resume(hello.resultsIn)
    this.#changed.ring()
    const tasks = [this.#read(), this.#push(), this.#storeStatuses(), this.#storeNodeStatus()]
    const guarded = tasks.map((task) => task.catch((err: unknown) => this.#ended.abort(err)))
    await Promise.all(guarded)
    throw signal.reason
  }

  /** Waits for one of the places that all nodes share; whose line goes meanwhile leaves at once. */
  async #inTurn(register: (opts: AbortOptions) => Promise<string>): Promise<string> {
    const { clock, registrations } = this.#deps
    const { signal } = this.#ended
    const what = `registering node "${this.node}"`
    using waiting = new LinkedAbort(signal)
    using _ = clock.after(registrationWaitMs, () => waiting.abort(new TimeoutError(`${what}: its turn has not come`)))
    return await registrations.run(waiting, () =>
      withDeadline({ clock, ms: callDeadlineMs, signal, what }, (inner) => register({ signal: inner })),
    )
  }

  async #read(): Promise<void> {
    const { messages } = this.#line
    for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
      this.#ended.signal.throwIfAborted()
      await this.#handle(next.value.message)
    }
    throw new Error('the agent ended the session')
  }

  async #handle(message: AgentMessage['message']): Promise<void> {
    if (message === undefined) return
    if (message.$case === 'heartbeat') await this.#beat(message.value.sequence)
    else if (message.$case === 'podStatus') this.#statuses.set(message.value.uid, message.value)
    else if (message.$case === 'nodeStatus') this.#nodeStatus.set('node', message.value.statusJson)
    else if (message.$case === 'event') this.#deps.record(message.value)
    else if (message.$case === 'applied') {
      this.#deps.view.applied(message.value.resultsIn)
      this.#changed.ring()
    } else throw new Error(`unexpected ${message.$case}`)
  }

  async #beat(sequence: bigint): Promise<void> {
    await this.#send({ $case: 'heartbeat', value: { sequence } })
    const nowMs = this.#deps.clock.monotonicMs()
    if (this.#leaseAtMs !== undefined && nowMs - this.#leaseAtMs < leaseEveryMs) return
    this.#leaseAtMs = nowMs
    // Not awaited: a slow store must not hold up what else the agent says. Handles its failures itself.
    if (!this.#isRenewing) void this.#renewLease()
  }

  /** Again until it goes well: a store that comes back is to hear of the node before somebody calls it silent. */
  async #renewLease(): Promise<void> {
    const { registration, clock, log } = this.#deps
    const { signal } = this.#ended
    this.#isRenewing = true
    try {
      for (let isFirst = true; !signal.aborted; isFirst = false) {
        try {
          return await this.#withDeadline('renewing the lease', (inner) => registration.beat({ signal: inner }))
        } catch (err) {
          if (isFirst && !signal.aborted) log.warn('cannot renew a node lease, trying again', { node: this.node, err })
        }
        await sleep(clock, retryMs, signal).catch(() => undefined) // Aborted: the loop ends.
      }
    } finally {
      this.#isRenewing = false
    }
  }

  /** Sends what has changed, for as long as the agent takes it. */
  async #push(): Promise<void> {
    const { view, wanted, services } = this.#deps
    const { signal } = this.#ended
    for (;;) {
      await this.#changed.wait({ signal })
      // Services first: a new pod finds those in its environment that were there before it.
      const table = services()
      if (table !== this.#servicesSent) {
        this.#servicesSent = table
        await this.#send({ $case: 'services', value: table })
      }
      const assignments = view.next(wanted())
      if (assignments !== undefined) await this.#send({ $case: 'assignments', value: assignments })
    }
  }

  async #storeStatuses(): Promise<void> {
    const { signal } = this.#ended
    for (;;) {
      const reports = [...(await this.#statuses.take({ signal })).values()]
      let isTrouble = false
      await forEachLimit(reports, statusWriters, async (report) => {
        isTrouble = (await this.#storeStatus(report)) || isTrouble
      })
      if (isTrouble) await sleep(this.#deps.clock, retryMs, signal)
    }
  }

  /** True when it has to be tried again. */
  async #storeStatus(report: PodStatusReport): Promise<boolean> {
    const { uid, sequence } = report
    const { log, storeStatus } = this.#deps
    try {
      await this.#withDeadline(`storing the status of pod ${uid}`, (signal) => storeStatus(report, signal))
    } catch (err) {
      if (isAbort(err, this.#ended.signal) || this.#ended.signal.aborted) return false
      log.warn('cannot store a pod status', { node: this.node, pod: `${report.namespace}/${report.name}`, err })
      if (!isHopeless(err)) {
        this.#statuses.putBack(uid, report)
        return true
      }
      // It will not get better by being sent again.
    }
    await this.#send({ $case: 'podStatusReceipt', value: { uid, sequence } })
    return false
  }

  async #storeNodeStatus(): Promise<void> {
    const { signal } = this.#ended
    const { registration, log, clock } = this.#deps
    for (;;) {
      for (const json of (await this.#nodeStatus.take({ signal })).values()) {
        try {
          const status = parseJson(json) as NodeStatus // The registry checks each field when it is written.
          await this.#withDeadline('storing the node status', (inner) => registration.writeStatus(status, { signal: inner }))
        } catch (err) {
          if (signal.aborted) return
          log.warn('cannot store a node status', { node: this.node, err })
          if (!isHopeless(err)) this.#nodeStatus.putBack('node', json)
          await sleep(clock, retryMs, signal)
        }
      }
    }
  }

  async #withDeadline(what: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    await withDeadline({ clock: this.#deps.clock, ms: callDeadlineMs, signal: this.#ended.signal, what }, work)
  }

  #send(message: ControlMessage['message'], signal = this.#ended.signal): Promise<void> {
    return this.#line.send({ message }, { signal })
  }
}

/** What was sent is wrong in itself: sending it again does not help. */
const isHopeless = (err: unknown): boolean => isInvalid(err) || (err instanceof StatusError && err.status.code === 400)
