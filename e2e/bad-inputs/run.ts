import { Agent, request as httpsRequest } from 'node:https'
import process from 'node:process'
import { isDeepStrictEqual } from 'node:util'
import { restPath } from '../../api/derive/paths.ts'
import type { KeyValue, Write } from '../../controlplane/store/store.ts'
import { createServedWorld, type ServedWorld } from '../../controlplane/testing/served-world.ts'
import { type LogFields, silentLog } from '../../lib/log.ts'
import { Chance } from '../sim/chance.ts'
import { type BadRequest, badRequest, type Sample } from './requests.ts'
import { allSamples } from './samples.ts'

export interface Figures {
  readonly requests: number
  /** How often each status was the answer. */
  readonly codes: Readonly<Record<string, number>>
  /** Milliseconds. */
  readonly median: number
  readonly slowest: { readonly ms: number; readonly what: string }
  /** MiB of the heap after a collection, after each tenth of the requests. Empty without `--expose-gc`. */
  readonly heap: readonly number[]
  readonly problems: readonly string[]
}

const slowMs = 1_000
const hangMs = 15_000
const problemsLimit = 40

/** Sends `count` bad requests to a server that holds one object of each kind, and looks at what each has done. */
export async function runBadInputs({ count, seed, only }: { count: number; seed: number; only?: number }): Promise<Figures> {
  // What the server could not answer for, it logs.
  const failures: string[] = []
  const error = (_message: string, { err }: LogFields = {}): void => {
    if (failures.length < problemsLimit) failures.push(err instanceof Error ? (err.stack ?? err.message) : String(err))
  }
  await using served = await createServedWorld({ historyPerKind: 100, log: { ...silentLog, error } })
  await using run = new Run(served, await allSamples())
  await run.prepare()
  const from = only ?? 0
  for (let index = from; index < (only === undefined ? count : only + 1); index++) {
    // A source for each, so that one can be sent again alone.
    await run.step(index, new Chance(seed * 1_000_003 + index))
    if ((index + 1) % Math.ceil(count / 10) === 0) await run.noteHeap()
    if (run.problems.length >= problemsLimit) break
  }
  run.problems.push(...failures.map((failure) => `in the log: ${failure}`))
  return run.figures()
}

interface Answer {
  readonly code: number
  readonly text: string
  readonly ms: number
  /** Of processor time, of the whole process: others may use the machine, too. */
  readonly busyMs: number
}

type Value = Readonly<Record<string, unknown>>

function busyMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}

class Run implements AsyncDisposable {
  readonly problems: string[] = []
  readonly #served: ServedWorld
  readonly #samples: readonly Sample[]
  readonly #agent: Agent
  readonly #codes = new Map<number, number>()
  readonly #times: number[] = []
  readonly #heap: number[] = []
  readonly #innate = innateNames()
  #kept: ReadonlyMap<string, KeyValue> = new Map()
  #good = ''
  #slowest = { ms: 0, what: 'none' }

  constructor(served: ServedWorld, samples: readonly Sample[]) {
    this.#served = served
    this.#samples = samples
    const { ca, admin } = served
    this.#agent = new Agent({ ca, cert: admin.cert, key: admin.key, keepAlive: true, maxSockets: 2 })
  }

  async prepare(): Promise<void> {
    for (const { kind, namespace, name, body } of this.#samples) {
      const path = restPath({ kind, namespace })
      const answer = await this.#ask({
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify(body)),
      })
      if (answer.code !== 201) throw new Error(`${kind.kind} ${name} is no valid sample: ${answer.text}`)
    }
    this.#kept = await this.#stored()
    this.#good = (await this.#askGood()).text
  }

  async step(index: number, chance: Chance): Promise<void> {
    const request = badRequest(this.#samples, chance)
    const tell = (problem: string): void => {
      this.problems.push(`#${index} ${request.what.slice(0, 200)}: ${problem.slice(0, 400)}`)
    }
    const { store } = this.#served.world
    const before = store.revision
    try {
      const answer = await this.#timed(request)
      this.#codes.set(answer.code, (this.#codes.get(answer.code) ?? 0) + 1)
      if (answer.busyMs > slowMs) tell(`took ${Math.round(answer.busyMs)} ms of processor time`)
      for (const problem of wrongAnswer(request, answer)) tell(problem)
      if (answer.code >= 400 && store.revision !== before) tell(`answered ${answer.code}, and wrote to the store`)
      if (answer.code < 400 && store.revision !== before) await this.#lookAt(request, answer, tell)
    } catch (err) {
      tell(`no answer: ${err instanceof Error ? err.message : String(err)}`)
    }
    if (store.revision !== before) await this.#restore()
    const changed = innateNames()
    if (!isDeepStrictEqual(changed, this.#innate)) throw new Error(`#${index} ${request.what} changed what every object has`)
    const good = await this.#askGood()
    if (
      good.code !== 200 ||
      good.text.replace(/"resourceVersion":"\d+"/, '') !== this.#good.replace(/"resourceVersion":"\d+"/, '')
    )
      tell(`the next good request was answered with ${good.code} ${good.text.slice(0, 200)}`)
  }

  /** Something else may have gone on in this process: slow is what is slow twice. */
  async #timed(request: BadRequest): Promise<Answer> {
    const answer = await this.#ask(request)
    this.#times.push(answer.ms)
    if (answer.ms > this.#slowest.ms) this.#slowest = { ms: answer.ms, what: request.what }
    if (answer.busyMs <= slowMs) return answer
    const again = await this.#ask(request)
    return { ...answer, busyMs: Math.min(answer.busyMs, again.busyMs) }
  }

  /** What was stored comes back as it was answered, in every form, and can be deleted. */
  async #lookAt({ method, path }: BadRequest, { text }: Answer, tell: (problem: string) => void): Promise<void> {
    const { kind, metadata = {} }: { kind?: string; metadata?: Value } = JSON.parse(text)
    if (method === 'DELETE' || kind === 'Scale' || kind === 'Status' || typeof metadata['name'] !== 'string') return
    const sample = this.#samples.find((one) => one.kind.kind === kind)
    if (sample === undefined) return tell(`answered with a ${kind}`)
    const at = restPath({ kind: sample.kind, namespace: metadata['namespace'] as string | undefined, name: metadata['name'] })
    const got = await this.#ask({ method: 'GET', path: at, headers: {}, body: undefined })
    if (got.code !== 200 || !isDeepStrictEqual(JSON.parse(got.text), JSON.parse(text)))
      tell(`${path}: stored otherwise than answered: ${text.slice(0, 150)} / ${got.code} ${got.text.slice(0, 150)}`)
    const accept = 'application/json;as=Table;g=meta.k8s.io;v=v1'
    const table = await this.#ask({ method: 'GET', path: `${at}?includeObject=None`, headers: { accept }, body: undefined })
    if (table.code !== 200) tell(`cannot be shown: ${table.text}`)
    const gone = await this.#ask({ method: 'DELETE', path: at, headers: {}, body: undefined })
    if (gone.code !== 200) tell(`cannot be deleted: ${gone.code} ${gone.text}`)
  }

  async #stored(): Promise<ReadonlyMap<string, KeyValue>> {
    const { store, signal } = this.#served.world
    const { items } = await store.list({ prefix: '', signal })
    return new Map(items.map((item) => [item.key, item]))
  }

  /** Back to what was there at first, behind the server's back. */
  async #restore(): Promise<void> {
    const { store, cache, signal } = this.#served.world
    const now = await this.#stored()
    for (const key of new Set([...now.keys(), ...this.#kept.keys()])) {
      const kept = this.#kept.get(key)
      const found = now.get(key)
      if (kept?.value === found?.value) continue
      const write: Write = kept === undefined ? { delete: key } : { put: key, value: kept.value }
      await store.commit({ conditions: [{ key, modRevision: found?.modRevision ?? 0 }], writes: [write] }, { signal })
    }
    await cache.waitFor(store.revision, { signal })
    await store.compact(store.revision, { signal })
  }

  #askGood(): Promise<Answer> {
    return this.#ask({ method: 'GET', path: '/api/v1/namespaces/default/configmaps/bad-3', headers: {}, body: undefined })
  }

  #ask({ method, path, headers, body }: Pick<BadRequest, 'method' | 'path' | 'headers' | 'body'>): Promise<Answer> {
    const { hostname: host, port } = new URL(this.#served.url)
    const length = body === undefined ? {} : { 'content-length': String(body.length) }
    const startMs = performance.now()
    const startCpu = process.cpuUsage()
    return new Promise((resolve, reject) => {
      const options = { host, port, method, path, headers: { ...length, ...headers }, agent: this.#agent, timeout: hangMs }
      const request = httpsRequest(options, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({
            code: response.statusCode ?? 0,
            text: Buffer.concat(chunks).toString(),
            ms: performance.now() - startMs,
            busyMs: busyMs(startCpu),
          }),
        )
        response.on('error', reject)
      })
      request.on('timeout', () => request.destroy(new Error(`not within ${hangMs} ms`)))
      request.on('error', reject)
      request.end(body)
    })
  }

  async noteHeap(): Promise<void> {
    if (globalThis.gc === undefined) return
    // What is freed at the first may hold what only the second frees.
    for (let round = 0; round < 2; round++) await globalThis.gc({ execution: 'async' })
    this.#heap.push(process.memoryUsage().heapUsed / 2 ** 20)
  }

  figures(): Figures {
    const times = this.#times.toSorted((a, b) => a - b)
    return {
      requests: times.length,
      codes: Object.fromEntries([...this.#codes].sort(([a], [b]) => a - b)),
      median: times[Math.floor(times.length / 2)] ?? 0,
      slowest: this.#slowest,
      heap: this.#heap,
      problems: this.problems,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy()
  }
}

/** What every object, list, function and text has from birth. */
const innateNames = (): readonly string[] =>
  [Object, Array, Function, String, Number].flatMap(({ prototype, name }) =>
    Reflect.ownKeys(prototype).map((key) => `${name}.${String(key)}`),
  )

function wrongAnswer({ method, field }: BadRequest, { code, text }: Answer): readonly string[] {
  if (code >= 500) return [`${code} ${text}`]
  // 431 comes from Node's own reader of headers.
  if (code < 400 || code === 431 || method === 'HEAD') return []
  let status: { kind?: unknown; status?: unknown; code?: unknown; reason?: unknown; message?: unknown }
  try {
    status = JSON.parse(text)
  } catch {
    return [`answered ${code} without a Status: "${text}"`]
  }
  if (status.kind !== 'Status' || status.status !== 'Failure' || status.code !== code) return [`no Status of ${code}: ${text}`]
  if (typeof status.message !== 'string' || status.message === '') return [`says nothing: ${text}`]
  return (code === 400 || code === 422) && field !== undefined && !speaksOf(field, text)
    ? [`does not name ${field.join('.')}: ${text}`]
    : []
}

/** Of the field, or of one around it. */
function speaksOf(field: readonly (string | number)[], text: string): boolean {
  const names = field.map((step) => (step === 'stringData' ? 'data' : step)).filter((step) => typeof step === 'string')
  return (
    field.length === 0 || names.some((name) => text.includes(name)) || /nested deeper|nested too deep|no valid YAML/.test(text)
  )
}
