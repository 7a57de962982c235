import type { UnlistedPod } from '../api/derive/unlisted-pods.ts'
import type { Node } from '../api/kinds/node.ts'
import type { NodeCondition, NodeStatus } from '../api/kinds/node-status.ts'
import { isAbort, sleep } from '../lib/async.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Service } from '../lib/service.ts'
import type { HostFacts } from './host/facts.ts'
import { nodeObject } from './host/node-object.ts'
import type { EngineInfo, ImageInfo, Runtime } from './runtime/runtime.ts'

export interface NodeWatchOptions {
  readonly facts: HostFacts
  readonly runtime: Pick<Runtime, 'info' | 'images'>
  readonly version: string
  readonly missingCapabilities: readonly string[]
  /** Why pods cannot be connected; undefined while they can. */
  readonly networkError: () => string | undefined
  /** Which disk is nearly full; undefined while none is. */
  readonly diskError: (engineFolder: string | undefined) => Promise<string | undefined>
  /** What runs here and is unknown to the API. */
  readonly unlistedPods: () => readonly UnlistedPod[]
  /** Gets each status that says something new. */
  readonly report: (status: NodeStatus) => void
  readonly clock: Clock
  readonly log: Log
}

const everyMs = 10_000
/** Nothing new is said again after this long (Kubernetes: nodeStatusReportFrequency). */
const repeatMs = 5 * 60_000
const maxPods = 110

/** Looks at the engine now and then, and tells what has changed of the node. */
export class NodeWatch implements Service {
  readonly name = 'node status'
  readonly #options: NodeWatchOptions
  #conditions: readonly NodeCondition[] = []

  constructor(options: NodeWatchOptions) {
    this.#options = options
  }

  /** The node as it is now. */
  async look(signal: AbortSignal): Promise<Node> {
    const { facts, runtime, version, missingCapabilities, networkError, diskError, unlistedPods, clock } = this.#options
    let engine: EngineInfo | undefined
    let images: readonly ImageInfo[] = []
    let engineError: string | undefined
    try {
      engine = await runtime.info({ signal })
      images = await runtime.images({ signal })
    } catch (err) {
      signal.throwIfAborted()
      engineError = `the Docker Engine does not answer: ${err instanceof Error ? err.message : String(err)}`
    }
    const node = nodeObject({
      facts,
      engine,
      engineError,
      networkError: networkError(),
      diskError: await diskError(engine?.rootFolder),
      images,
      unlistedPods: unlistedPods(),
      agentVersion: version,
      maxPods,
      missingCapabilities,
      labels: {},
      nowMs: clock.now(),
      before: this.#conditions,
    })
    this.#conditions = node.status?.conditions ?? []
    return node
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, report, log } = this.#options
    let said = ''
    let saidMs = Number.NEGATIVE_INFINITY
    while (!signal.aborted) {
      try {
        const { status } = await this.look(signal)
        const text = textOf(status)
        if (status !== undefined && (text !== said || clock.monotonicMs() - saidMs > repeatMs)) {
          report(status)
          said = text
          saidMs = clock.monotonicMs()
        }
      } catch (err) {
        if (!isAbort(err, signal)) log.warn('cannot look at the node', { err })
      }
      await sleep(clock, everyMs, signal).catch(() => undefined) // Aborted: the loop ends.
    }
  }
}

/** Without the times at which somebody looked. */
function textOf(status: NodeStatus | undefined): string {
  const conditions = status?.conditions?.map(({ lastHeartbeatTime: _, ...rest }) => rest)
  return JSON.stringify({ ...status, conditions })
}
