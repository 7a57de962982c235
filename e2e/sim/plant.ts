import type { Runtime } from '../../agent/runtime/runtime.ts'
import type { ControlMessage } from '../../api/proto/agent.ts'
import type { Store } from '../../controlplane/store/store.ts'

/** What a test can break on purpose, to see that the simulator finds it. */
export interface Plant {
  /** What a control plane, or the API server, takes for the store. */
  store?(store: Store): Store
  /** What an agent takes for its engine. */
  runtime?(runtime: Runtime): Runtime
  /** What an agent hears from the control plane. */
  heard?(message: ControlMessage): ControlMessage
}

/** A store that is as the given one, to be changed in places. */
export function forwarded(store: Store): Store {
  return {
    get: (key, opts) => store.get(key, opts),
    list: (options) => store.list(options),
    commit: (transaction, opts) => store.commit(transaction, opts),
    watch: (options) => store.watch(options),
    campaign: (options) => store.campaign(options),
    compact: (revision, opts) => store.compact(revision, opts),
  }
}
