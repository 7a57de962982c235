import { dequal } from 'dequal'
import { Lease } from '../../api/kinds/lease.ts'
import { Node } from '../../api/kinds/node.ts'
import type { NodeCondition, NodeStatus } from '../../api/kinds/node-status.ts'
import { badRequest, isAlreadyExists, isConflict, isNotFound } from '../../api/meta/status.ts'
import type { Client } from '../../client/client.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { type Clock, formatMicroTime, formatTime, parseTime } from '../../lib/clock.ts'
import { isDeeper } from '../../lib/json-depth.ts'
import type { PodCidrs } from './pod-cidr.ts'

const leaseNamespace = 'kube-node-lease'
const leaseSeconds = 40
const maxTries = 6
/** A condition that says the same again is written only this often (Kubernetes: 5 minutes). */
const sameStatusMs = 5 * 60_000

export interface RegistrationDeps {
  /** Under the node's own identity. */
  readonly client: Client
  /** Under the control plane's, for what a node must not decide itself. */
  readonly controlPlane: Client
  readonly clock: Clock
  readonly podCidrs: Pick<PodCidrs, 'claim'>
  /** From the informer; may be old. */
  cached(): Node | undefined
}

/** The API's objects of one node, kept as its agent tells. */
export class NodeRegistration {
  readonly #deps: RegistrationDeps
  readonly #name: string
  #lease: Lease | undefined
  #told: NodeStatus = {}

  constructor(name: string, deps: RegistrationDeps) {
    this.#name = name
    this.#deps = deps
  }

  /** Makes or updates the Node: the user's labels, taints and cordon stay. Gives it a pod range, `held` if that is free. */
  async register(told: Node, { held, ...opts }: AbortOptions & { readonly held?: string }): Promise<string> {
    const { controlPlane, podCidrs } = this.#deps
    await this.#createOrLabel(told, opts)
    const podCidr = await podCidrs.claim(this.#name, { ...opts, ...(held === undefined ? {} : { held }) })
    await retryConflicts(async () => {
      const node = await controlPlane.get(Node, { name: this.#name }, opts)
      if (node.spec?.podCIDR === podCidr) return
      await controlPlane.update(Node, { ...node, spec: { ...node.spec, podCIDR: podCidr, podCIDRs: [podCidr] } }, opts)
    })
    await this.renewLease(opts)
    await this.writeStatus(told.status ?? {}, opts)
    return podCidr
  }

  async #createOrLabel(told: Node, opts: AbortOptions): Promise<void> {
    const { client } = this.#deps
    const { labels = {}, annotations = {} } = told.metadata
    const { apiVersion, kind } = Node
    await retryConflicts(async () => {
      const existing = await orUndefined(client.get(Node, { name: this.#name }, opts))
      if (existing === undefined) {
        const metadata = { name: this.#name, labels, annotations }
        // Somebody may have made it meanwhile: then it is looked at again.
        await client.create(Node, { apiVersion, kind, metadata, spec: {} }, opts)
        return
      }
      const merged = { ...existing.metadata, labels: { ...existing.metadata.labels, ...labels } }
      if (!dequal(merged, existing.metadata)) await client.update(Node, { ...existing, metadata: merged }, opts)
    })
  }

  /** Writes what the agent says of the node. A live session with no word on `Ready` means ready. */
  async writeStatus(told: NodeStatus, opts: AbortOptions): Promise<void> {
    const { client, clock } = this.#deps
    this.#told = told
    await retryConflicts(async () => {
      const node = await orUndefined(client.get(Node, { name: this.#name }, opts))
      if (node === undefined) return // Deleted by somebody: comes back with the agent's next session.
      const conditions = mergeConditions(node.status?.conditions ?? [], told.conditions ?? [], clock.now())
      const status = { ...node.status, ...told, conditions }
      if (!dequal(status, node.status)) await client.updateStatus(Node, { ...node, status }, opts)
    })
  }

  /** Says that the node is alive; and takes back what was written about it while it could not say so. */
  async beat(opts: AbortOptions): Promise<void> {
    await this.renewLease(opts)
    const ready = this.#deps.cached()?.status?.conditions?.find(({ type }) => type === 'Ready')
    if (ready?.status === 'Unknown') await this.writeStatus(this.#told, opts)
  }

  async renewLease(opts: AbortOptions): Promise<void> {
    const { client, clock } = this.#deps
    const { apiVersion, kind } = Lease
    await retryConflicts(async () => {
      const ref = { namespace: leaseNamespace, name: this.#name }
      const spec = { holderIdentity: this.#name, leaseDurationSeconds: leaseSeconds, renewTime: formatMicroTime(clock.now()) }
      const lease = this.#lease ?? (await orUndefined(client.get(Lease, ref, opts)))
      this.#lease = undefined // Read anew unless the write below goes well.
      this.#lease =
        lease === undefined
          ? await client.create(Lease, { apiVersion, kind, metadata: ref, spec }, opts)
          : await client.update(Lease, { ...lease, spec: { ...lease.spec, ...spec } }, opts)
    })
  }
}

/** The agent's conditions over those that are there; the time of a transition stays while the status does. */
export function mergeConditions(
  before: readonly NodeCondition[],
  told: readonly NodeCondition[],
  nowMs: number,
): readonly NodeCondition[] {
  const now = formatTime(nowMs)
  const ready: NodeCondition = { type: 'Ready', status: 'True', reason: 'AgentReady', message: 'the agent has a session' }
  const said = told.some(({ type }) => type === 'Ready') ? told : [...told, ready]
  const byType = new Map(before.map((condition) => [condition.type, condition]))
  for (const { lastHeartbeatTime: _heartbeat, lastTransitionTime: _transition, ...condition } of said) {
    const old = byType.get(condition.type)
    const isSame = old?.status === condition.status
    const isRepetition = isSame && old.reason === condition.reason && old.message === condition.message
    const isFresh = isRepetition && nowMs - (parseTime(old.lastHeartbeatTime) ?? 0) < sameStatusMs
    const lastTransitionTime = isSame ? (old.lastTransitionTime ?? now) : now
    byType.set(condition.type, isFresh ? old : { ...condition, lastHeartbeatTime: now, lastTransitionTime })
  }
  return [...byType.values()]
}

/** Reads a Node that an agent sent. Throws BadRequest. */
export function parseNode(json: string, name: string): Node {
  const node = parseJson(json)
  if (typeof node !== 'object' || node === null || !('metadata' in node)) throw badRequest('node_json is not a Node')
  const { metadata, status } = node as Node // The registry checks each field when it is written.
  if (metadata?.name !== name) throw badRequest(`node_json is of node "${metadata?.name}", the session is of "${name}"`)
  return { apiVersion: Node.apiVersion, kind: Node.kind, metadata, ...(status === undefined ? {} : { status }) }
}

export function parseJson(json: string): unknown {
  // What reads on calls itself for each level.
  if (isDeeper(json, depthLimit)) throw badRequest(`nested deeper than ${depthLimit} levels`)
  try {
    return JSON.parse(json)
  } catch (err) {
    throw badRequest(`not JSON: ${err instanceof Error ? err.message : String(err)}`)
  }
}

const depthLimit = 100

/** Repeats a read and write that somebody else's write came between. */
export async function retryConflicts<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (err) {
      if (attempt >= maxTries || !(isConflict(err) || isAlreadyExists(err) || isNotFound(err))) throw err
    }
  }
}

export async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (err) {
    if (isNotFound(err)) return undefined
    throw err
  }
}
