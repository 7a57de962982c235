import type { ContainerState, Runtime } from '../../agent/runtime/runtime.ts'
import { isExpired } from '../../api/meta/status.ts'
import type { Condition, Store, StoreBatch } from '../../controlplane/store/store.ts'
import { morePlants } from './more-plants.ts'
import { forwarded, type Plant } from './plant.ts'
import { leaderKey } from './store.ts'

/** Bugs that people write, each in one place. Tests prove that every one of them is found. */
export const plants: Readonly<Record<string, Plant>> = {
  'writes over what others have written since': {
    store: (store) =>
      commitWith(store, async (condition) => ('modRevision' in condition ? await current(store, condition) : condition)),
  },
  'forgets the fence': {
    store: (store) => commitWith(store, async (condition) => (condition.key === leaderKey ? undefined : condition)),
  },
  'puts whoever leads now into the fence': {
    store: (store) =>
      commitWith(store, (condition) => (condition.key === leaderKey ? current(store, condition) : Promise.resolve(condition))),
  },
  'goes on without a list where the past is gone': {
    store: (store) => ({ ...forwarded(store), watch: (options) => skipping(store, options) }),
  },
  'loses one change in fifty': { store: (store) => ({ ...forwarded(store), watch: (options) => losing(store, options) }) },
  'acts on what it saw before its own last write': {
    store: (store) => ({
      ...forwarded(store),
      // Nobody waits for revision 1.
      commit: async (transaction, opts) => ({ ...(await store.commit(transaction, opts)), revision: 1 }),
    }),
  },
  'makes containers by an old list, each under another name': { runtime: (runtime) => renaming(stale(runtime)) },
  'starts containers anew whenever it starts': { runtime: restarting },
  'does not hear that a pod is gone': {
    heard: (message) =>
      message.message?.$case === 'assignments'
        ? { message: { ...message.message, value: { ...message.message.value, removedPods: [] } } }
        : message,
  },
  ...morePlants,
}

/** A store whose conditions are changed on the way; undefined takes one away. */
function commitWith(store: Store, change: (condition: Condition) => Promise<Condition | undefined>): Store {
  return {
    ...forwarded(store),
    async commit({ conditions, writes }, opts) {
      const changed = await Promise.all(conditions.map(change))
      return await store.commit({ writes, conditions: changed.filter((one) => one !== undefined) }, opts)
    },
  }
}

/** Holds by itself: it demands what is there. */
async function current(store: Store, condition: Condition): Promise<Condition> {
  const { item } = await store.get(condition.key, { signal: new AbortController().signal })
  if ('createRevision' in condition) return { key: condition.key, createRevision: item?.createRevision ?? 0 }
  // Creating over what is there would be noticed by everybody.
  return condition.modRevision === 0 ? condition : { key: condition.key, modRevision: item?.modRevision ?? 0 }
}

async function* skipping(store: Store, options: Parameters<Store['watch']>[0]): AsyncGenerator<StoreBatch, void, void> {
  let { afterRevision } = options
  for (;;) {
    try {
      for await (const batch of store.watch({ ...options, afterRevision })) yield batch
      return
    } catch (err) {
      if (!isExpired(err)) throw err
      afterRevision = (await store.get(options.prefix, options)).revision
    }
  }
}

async function* losing(store: Store, options: Parameters<Store['watch']>[0]): AsyncGenerator<StoreBatch, void, void> {
  let count = 0
  for await (const batch of store.watch(options)) yield ++count % 50 === 0 ? { ...batch, events: [] } : batch
}

/** Every list but each second one is that of before. */
function stale(runtime: Runtime): Runtime {
  const known = new Map<string, readonly ContainerState[]>()
  let count = 0
  return {
    ...runtime,
    async listPod(uid, opts) {
      const before = known.get(uid)
      if (before !== undefined && ++count % 2 === 0) return before
      const states = await runtime.listPod(uid, opts)
      known.set(uid, states)
      return states
    },
  }
}

/** A name that was tried once is not tried again. */
function renaming(runtime: Runtime): Runtime {
  const tried = new Map<string, number>()
  return {
    ...runtime,
    async create(spec, opts) {
      const { podUid, container, attempt, role } = spec.identity
      const key = `${podUid}/${container}/${attempt}`
      const count = role === 'sandbox' ? 0 : (tried.get(key) ?? 0)
      tried.set(key, count + 1)
      return await runtime.create({ ...spec, identity: { ...spec.identity, attempt: attempt + 100 * count } }, opts)
    },
  }
}

/** An agent that begins by tidying up. */
function restarting(runtime: Runtime): Runtime {
  let isFirst = true
  return {
    ...runtime,
    async list(opts) {
      const states = await runtime.list(opts)
      if (!isFirst) return states
      isFirst = false
      for (const { id, identity } of states) if (identity.role === 'app') await runtime.stop(id, 0, opts)
      return states
    },
  }
}
