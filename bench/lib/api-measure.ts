import process from 'node:process'
import { httpsTransport } from '../../client/https-transport.ts'
import { systemClock } from '../../lib/clock.ts'
import type { ApiCluster } from './api-cluster.ts'
import { configMap, namespace } from './api-objects.ts'
import type { Bare, RawEtcd } from './api-rival.ts'
import { cpuMsOf, usageOf } from './processes.ts'
import type { Rate } from './rates.ts'
import { message, type Peer, RawConnection } from './raw-https.ts'
import { Watchers } from './watchers.ts'

export interface Sizes {
  readonly clients: number
  readonly requests: number
  readonly pods: number
  readonly lists: number
  readonly updates: number
  readonly watchers: readonly number[]
}

type Text = (name: string, round?: number) => string
/** Does the thing of this number over the connection of this client. */
type Work = (index: number, client: number) => Promise<unknown>

interface Watched {
  readonly serverPid: number | undefined
  readonly etcdPid: number | undefined
  readonly clients: number
  /** The newest, from which a watch begins with nothing. */
  readonly revision?: () => Promise<string>
  readonly delay?: () => Promise<{ readonly p50: number; readonly p99: number }>
}

const selectiveUpdates = 20

/** Each method measures one row, in the order in which they are called. */
export class Measure {
  readonly rows: Rate[] = []
  readonly #cluster: ApiCluster
  readonly #sizes: Sizes
  readonly #on: Target

  constructor(cluster: ApiCluster, sizes: Sizes) {
    this.#cluster = cluster
    this.#sizes = sizes
    const pidOf = (name: string) => usageOf(cluster.folder).find(({ program }) => program === name)?.pid
    const watched = { serverPid: pidOf('controlplane'), etcdPid: pidOf('etcd'), clients: sizes.clients }
    const delay = () => cluster.delay()
    this.#on = new Target(cluster.api, { ...watched, delay, revision: () => this.#revision() }, sizes, this.rows)
  }

  /** The namespace, and one object of each kind: schemas are compiled at their first use. */
  async prepare(): Promise<void> {
    using connection = await RawConnection.open(this.#cluster.api)
    const body = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    const made = await connection.request(message('POST', '/api/v1/namespaces', { body }))
    if (made.code !== 201) throw new Error(`the namespace was answered with ${made.code}`)
  }

  /** Of objects named `b-0`, `b-1` and so on. */
  async creates(
    name: string,
    { path, body, count, warmUp = Math.ceil(count / 10) }: { path: string; body: Text; count: number; warmUp?: number },
  ): Promise<void> {
    await this.#on.each(`${name} (warm-up)`, { count: warmUp, isWarmUp: true, method: 'POST' }, (index) => [
      path,
      body(`w-${index}`),
    ])
    await this.#on.each(name, { count, method: 'POST' }, (index) => [path, body(`b-${index}`)])
  }

  gets(name: string, path: string): Promise<void> {
    return this.#on.gets(name, path)
  }

  /** Each client has objects of its own, so that nobody has to try again. */
  async updates(name: string, path: string, body: Text): Promise<void> {
    const { clients, requests } = this.#sizes
    const count = requests / 4
    await this.#on.each(name, { count, method: 'PUT' }, (index, client) => {
      const one = `b-${client + clients * (Math.floor(index / clients) % 2)}`
      return [`${path}/${one}`, body(one, index + 1)]
    })
  }

  list(name: string, path: string, accept: string): Promise<void> {
    return this.#on.list(name, path, accept)
  }

  fanOut(name: string, count: number): Promise<void> {
    return this.#on.fanOut(name, count)
  }

  /** Each watch is of one object; few of them have something to say. */
  async selective(name: string, count: number): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/configmaps`
    const revision = await this.#revision()
    const paths = Array.from(
      { length: count },
      (_, i) => `${path}?watch=true&resourceVersion=${revision}&fieldSelector=metadata.name%3Db-${i}`,
    )
    using watchers = await Watchers.open(this.#cluster.api, paths)
    await wait(500)
    const updates = this.#sizes.updates * selectiveUpdates
    const all = watchers.receive(updates)
    const { clients } = this.#sizes
    const writes = this.#on.each(name, { count: updates, method: 'PUT' }, (index, client) => {
      const one = `b-${client + clients * (Math.floor(index / clients) % 2)}`
      return [`${path}/${one}`, configMap(one, index + 2_000_000)]
    })
    await Promise.all([writes, all])
  }

  async #revision(): Promise<string> {
    const { metadata } = (await getJson(this.#cluster.api, '/api/v1/namespaces/none/pods')) as {
      metadata: { resourceVersion: string }
    }
    return metadata.resourceVersion
  }

  async bodyOf(path: string): Promise<string> {
    return JSON.stringify(await getJson(this.#cluster.api, path))
  }

  async rawEtcd(create: string, get: string, raw: RawEtcd, value: string): Promise<void> {
    const { requests } = this.#sizes
    const count = requests / 4
    await this.#on.run(create, count, (index) => raw.create(`/bench/${index}`, value))
    await this.#on.run(get, count, (index) => raw.get(`/bench/${index}`))
  }

  bare({ peer, pid }: Bare): Target {
    return new Target(peer, { serverPid: pid, etcdPid: undefined, clients: this.#sizes.clients }, this.#sizes, this.rows)
  }
}

/** A server that is asked, and what is noted meanwhile. */
class Target {
  readonly #peer: Peer
  readonly #watched: Watched
  readonly #sizes: Sizes
  readonly #rows: Rate[]
  /** Each update is another one: what changes nothing makes no event. */
  #round = 1_000_000

  constructor(peer: Peer, watched: Watched, sizes: Sizes, rows: Rate[]) {
    this.#peer = peer
    this.#watched = watched
    this.#sizes = sizes
    this.#rows = rows
  }

  posts(name: string, path: string, body: Text): Promise<void> {
    return this.each(name, { count: this.#sizes.requests, method: 'POST', code: 200 }, (index) => [path, body(`b-${index}`)])
  }

  async gets(name: string, path: string): Promise<void> {
    const { requests } = this.#sizes
    await this.each(`${name} (warm-up)`, { count: Math.ceil(requests / 10), isWarmUp: true, method: 'GET' }, () => [
      `${path}/b-0`,
    ])
    await this.each(name, { count: requests, method: 'GET' }, () => [`${path}/b-0`])
  }

  async list(name: string, path: string, accept: string): Promise<void> {
    using connection = await RawConnection.open(this.#peer)
    let bytes = 0
    const ask = async (): Promise<void> => {
      const answer = await connection.request(message('GET', path, { accept }))
      if (answer.code !== 200) throw new Error(`${name}: answered with ${answer.code}`)
      bytes = answer.bytes
    }
    for (let i = 0; i < 3; i++) await ask()
    await this.run(name, this.#sizes.lists, ask, { clients: 1, note: () => `${(bytes / 1e6).toFixed(1)} MB` })
  }

  /** Counts deliveries: each update reaches each of the watches. */
  async fanOut(name: string, count: number): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/configmaps`
    const revision = (await this.#watched.revision?.()) ?? '1'
    const paths = Array.from({ length: count }, () => `${path}?watch=true&resourceVersion=${revision}`)
    using watchers = await Watchers.open(this.#peer, paths)
    await wait(500)
    const { updates, clients } = this.#sizes
    using connections = await Connections.open(this.#peer, clients)
    const put: Work = async (_, client) => {
      const one = `b-${client}`
      const { code } = await connections
        .of(client)
        .request(message('PUT', `${path}/${one}`, { body: configMap(one, ++this.#round) }))
      if (code !== 200) throw new Error(`${name}: an update was answered with ${code}`)
    }
    for (const isWarmUp of [true, false]) {
      const all = watchers.receive(updates * count)
      const work = async (): Promise<void> => {
        await Promise.all([inParallel(updates, clients, put), all])
      }
      await this.#note(name, { count: updates * count, isWarmUp }, work)
    }
  }

  /** `ask` gives path and body of each request. */
  async each(
    name: string,
    { count, method, code, isWarmUp = false }: { count: number; method: string; code?: number; isWarmUp?: boolean },
    ask: (index: number, client: number) => readonly [string, string?],
  ): Promise<void> {
    using connections = await Connections.open(this.#peer, this.#sizes.clients)
    const expected = code ?? (method === 'POST' ? 201 : 200)
    const work: Work = async (index, client) => {
      const [path, body] = ask(index, client)
      const answer = await connections.of(client).request(message(method, path, body === undefined ? {} : { body }))
      if (answer.code !== expected) throw new Error(`${name}: ${method} ${path} was answered with ${answer.code}`)
    }
    await this.run(name, count, work, { isWarmUp })
  }

  async run(
    name: string,
    count: number,
    work: Work,
    { clients = this.#sizes.clients, isWarmUp = false, note }: { clients?: number; isWarmUp?: boolean; note?: () => string } = {},
  ): Promise<void> {
    const ms: number[] = []
    const timedWork: Work = async (index, client) => {
      const startedMs = performance.now()
      await work(index, client)
      ms.push(performance.now() - startedMs)
    }
    await this.#note(name, { count, isWarmUp, ms, note }, () => inParallel(count, clients, timedWork))
  }

  async #note(
    name: string,
    {
      count,
      isWarmUp,
      ms = [],
      note,
    }: { count: number; isWarmUp: boolean; ms?: readonly number[]; note?: (() => string) | undefined },
    work: () => Promise<void>,
  ): Promise<void> {
    const { serverPid, etcdPid, delay } = this.#watched
    await delay?.()
    const before = { server: cpuOf(serverPid), etcd: cpuOf(etcdPid), own: process.cpuUsage(), at: performance.now() }
    await work()
    const seconds = (performance.now() - before.at) / 1000
    const own = process.cpuUsage(before.own)
    const perThousand = (was: number | undefined, is: number | undefined): number | undefined =>
      was === undefined || is === undefined ? undefined : ((is - was) * 1000) / count
    const delayed = await delay?.()
    if (isWarmUp) return
    this.#rows.push({
      name,
      count,
      seconds,
      ms,
      serverCpu: perThousand(before.server, cpuOf(serverPid)),
      etcdCpu: perThousand(before.etcd, cpuOf(etcdPid)),
      clientCpu: (own.user + own.system) / count,
      delay: delayed,
      note: note?.() ?? '',
    })
    process.stderr.write(`${name}: ${Math.round(count / seconds)}/s\n`)
  }
}

class Connections implements Disposable {
  readonly #all: readonly RawConnection[]

  private constructor(all: readonly RawConnection[]) {
    this.#all = all
  }

  static async open(peer: Peer, count: number): Promise<Connections> {
    return new Connections(await Promise.all(Array.from({ length: count }, () => RawConnection.open(peer))))
  }

  of(client: number): RawConnection {
    const connection = this.#all[client]
    if (connection === undefined) throw new Error('each client has a connection')
    return connection
  }

  [Symbol.dispose](): void {
    for (const one of this.#all) one[Symbol.dispose]()
  }
}

async function inParallel(count: number, clients: number, work: Work): Promise<void> {
  let next = 0
  const lane = async (client: number): Promise<void> => {
    while (next < count) await work(next++, client)
  }
  await Promise.all(Array.from({ length: clients }, (_, client) => lane(client)))
}

const cpuOf = (pid: number | undefined): number | undefined => (pid === undefined ? undefined : cpuMsOf(pid))

/** What a path answers: a value. */
async function getJson({ host: _, port, ...pems }: Peer, path: string): Promise<unknown> {
  const transport = httpsTransport({ server: `https://localhost:${port}`, ...pems, clock: systemClock })
  try {
    return await transport.get(path, { signal: AbortSignal.timeout(30_000) })
  } finally {
    transport.close()
  }
}

const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
