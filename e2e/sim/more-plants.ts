import { type ApiObject, controllerOf } from '../../api/meta/object-meta.ts'
import { kindPrefix } from '../../controlplane/store/keys.ts'
import type { KeyValue, ListResult, Store, StoreBatch, Transaction } from '../../controlplane/store/store.ts'
import { holdFinalizer } from './manifests.ts'
import { forwarded, type Plant } from './plant.ts'

/** Bugs of controllers that end well: only counts, causes and details show them. */
export const morePlants: Readonly<Record<string, Plant>> = {
  'makes a ReplicaSet twice and deletes one': {
    store: (store) => doubling(store, kindPrefix({ group: 'apps', plural: 'replicasets' })),
  },
  'makes a pod twice and deletes one': { store: (store) => doubling(store, kindPrefix({ group: '', plural: 'pods' })) },
  'deletes a slice and makes it anew': { store: flapping },
  'writes what is there already': { store: repeating },
  'takes an old list for the newest': { store: behind },
  'does not see that a node is cordoned': {
    store: (store) => seeing(store, (text) => text.replace('"unschedulable":true', '"unschedulable":false')),
  },
  'lets a pod go that is held': { store: lettingGo },
  'hears of every second change of services': {
    heard: (message) => (message.message?.$case === 'services' && message.message.value.revision % 2n === 1n ? {} : message),
  },
  'does not hear that the store was put back': {
    heard: (message) =>
      message.message?.$case === 'welcome'
        ? { message: { ...message.message, value: { ...message.message.value, incarnation: 'always the same' } } }
        : message,
  },
  'does not hear of changed ConfigMaps and Secrets': {
    heard: (message) =>
      message.message?.$case === 'assignments' && !message.message.value.complete
        ? { message: { ...message.message, value: { ...message.message.value, configs: [] } } }
        : message,
  },
}

const utf8 = { decode: (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8'), encode: (text: string) => Buffer.from(text) }

type Put = Extract<Transaction['writes'][number], { readonly put: string }>

const putUnder = ({ writes }: Transaction, prefix: string): Put | undefined =>
  writes.find((write): write is Put => 'put' in write && write.put.startsWith(prefix))

const isCreation = ({ conditions }: Transaction, key: string): boolean =>
  conditions.some((condition) => condition.key === key && 'modRevision' in condition && condition.modRevision === 0)

/** What else a transaction demands, such as that its writer leads. */
const others = ({ conditions }: Transaction, key: string): Transaction['conditions'] =>
  conditions.filter((one) => one.key !== key)

function doubling(store: Store, prefix: string): Store {
  return {
    ...forwarded(store),
    async commit(transaction, opts) {
      const result = await store.commit(transaction, opts)
      const made = putUnder(transaction, prefix)
      if (!result.committed || made === undefined || !isCreation(transaction, made.put)) return result
      const object = JSON.parse(utf8.decode(made.value)) as ApiObject // Written by the registry a moment ago.
      if (controllerOf(object) === undefined) return result
      const { name = '', uid = '' } = object.metadata
      const copy = { ...object, metadata: { ...object.metadata, name: `${name}-2`, uid: `${uid.slice(0, -1)}z` } }
      const conditions = others(transaction, made.put)
      const put = `${made.put}-2`
      const again = await store.commit(
        {
          conditions: [...conditions, { key: put, modRevision: 0 }],
          writes: [{ put, value: utf8.encode(JSON.stringify(copy)) }],
        },
        opts,
      )
      await store.commit(
        { conditions: [...conditions, { key: put, modRevision: again.revision }], writes: [{ delete: put }] },
        opts,
      )
      return result
    },
  }
}

function flapping(store: Store): Store {
  let count = 0
  return {
    ...forwarded(store),
    async commit(transaction, opts) {
      const put = putUnder(transaction, kindPrefix({ group: 'discovery.k8s.io', plural: 'endpointslices' }))
      if (put !== undefined && !isCreation(transaction, put.put) && ++count % 5 === 0)
        await store.commit({ conditions: transaction.conditions, writes: [{ delete: put.put }] }, opts)
      return await store.commit(transaction, opts)
    },
  }
}

function repeating(store: Store): Store {
  return {
    ...forwarded(store),
    async commit(transaction, opts) {
      const result = await store.commit(transaction, opts)
      const put = putUnder(transaction, kindPrefix({ group: 'apps', plural: 'replicasets' }))
      if (result.committed && put !== undefined)
        await store.commit(
          { conditions: [...others(transaction, put.put), { key: put.put, modRevision: result.revision }], writes: [put] },
          opts,
        )
      return result
    },
  }
}

/** Every second list is the one before it, with the revision of now. */
function behind(store: Store): Store {
  const known = new Map<string, ListResult>()
  let count = 0
  return {
    ...forwarded(store),
    async list(options) {
      const result = await store.list(options)
      const before = known.get(options.prefix)
      known.set(options.prefix, result)
      return before === undefined || ++count % 2 === 0 ? result : { ...before, revision: result.revision }
    },
  }
}

/** What is read and heard, changed on the way. */
function seeing(store: Store, change: (text: string) => string): Store {
  const seen = <T extends KeyValue | undefined>(item: T): T =>
    item === undefined ? item : { ...item, value: utf8.encode(change(utf8.decode(item.value))) }
  return {
    ...forwarded(store),
    async get(key, opts) {
      const { item, revision } = await store.get(key, opts)
      return { item: seen(item), revision }
    },
    async list(options) {
      const result = await store.list(options)
      return { ...result, items: result.items.map(seen) }
    },
    async *watch(options): AsyncGenerator<StoreBatch, void, void> {
      for await (const { events, revision } of store.watch(options)) {
        const changed = events.map((event) =>
          event.type === 'put' ? { ...event, current: seen(event.current), previous: seen(event.previous) } : event,
        )
        yield { events: changed, revision }
      }
    },
  }
}

function lettingGo(store: Store): Store {
  return {
    ...forwarded(store),
    async commit(transaction, opts) {
      const put = putUnder(transaction, kindPrefix({ group: '', plural: 'pods' }))
      const text = put === undefined ? '' : utf8.decode(put.value)
      const isHeld =
        text.includes(holdFinalizer) && text.includes('"deletionTimestamp"') && /"phase":"(Succeeded|Failed)"/.test(text)
      return await store.commit(
        put !== undefined && isHeld ? { ...transaction, writes: [{ delete: put.put }] } : transaction,
        opts,
      )
    },
  }
}
