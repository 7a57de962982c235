import { Bell, isAbort } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Service } from '../../lib/service.ts'
import type { DesiredStore } from '../desired/desired-store.ts'
import type { NodeNetwork } from './node-network.ts'
import type { ServiceProxy } from './service-proxy.ts'

interface FollowerDeps {
  readonly desired: DesiredStore
  readonly network: NodeNetwork
  readonly proxy: Pick<ServiceProxy, 'update'>
  readonly adopt: (opts: { readonly signal: AbortSignal }) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

/** Sets the network up as the control plane (or the checkpoint) says, and again when something took it away. */
export class NetworkFollower implements Service {
  readonly name = 'network'
  readonly #deps: FollowerDeps
  /** Why pods cannot be connected. Not knowing the address range yet is no error: the first session brings it. */
  error: string | undefined

  constructor(deps: FollowerDeps) {
    this.#deps = deps
  }

  async run(signal: AbortSignal): Promise<void> {
    const { desired, clock, log } = this.#deps
    const bell = new Bell()
    using _ = desired.subscribeNode(() => bell.ring())
    while (!signal.aborted) {
      try {
        await this.#follow(signal)
        this.error = undefined
      } catch (err) {
        if (isAbort(err, signal)) return
        this.error = err instanceof Error ? err.message : String(err)
        log.error('cannot set up the network', { err })
      }
      await bell.wait({ signal, clock, timeoutMs: this.error === undefined ? 60_000 : 2_000 }).catch(() => undefined) // Aborted: the loop ends.
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { desired, network, proxy, adopt } = this.#deps
    if (desired.network.podCidr === '') return
    network.configure(desired.network)
    await network.setUp({ signal })
    await adopt({ signal })
    if (desired.services !== undefined) proxy.update(desired.services)
  }
}
