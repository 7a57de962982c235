import { Lease } from '../../api/kinds/lease.ts'
import { Node } from '../../api/kinds/node.ts'
import { isAlreadyExists, isConflict, isNotFound, unavailable } from '../../api/meta/status.ts'
import type { Client } from '../../client/client.ts'
import type { AbortOptions } from '../../lib/async.ts'

const namespace = 'kube-system'
const prefix = 'skiff-podcidr-'
const maxTries = 16
/** Nodes that get their ranges from one look at the claims. */
const claimsAtOnce = 64

/** The /24 networks of the cluster's range, in order. Throws on a range that is none or has less than one /24. */
export function subnetsOf(clusterCidr: string): readonly string[] {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(clusterCidr)
  const [a = 0, b = 0, c = 0, d = 0, bits = 0] = match?.slice(1).map(Number) ?? []
  if (match === null || [a, b, c, d].some((byte) => byte > 255) || bits < 8 || bits > 24)
    throw new Error(`cluster range "${clusterCidr}" is not an IPv4 range of /8 to /24`)
  const count = 2 ** (24 - bits)
  const first = Math.floor((a * 65_536 + b * 256 + c) / count) * count
  return Array.from({ length: count }, (_, index) => {
    const at = first + index
    return `${Math.floor(at / 65_536)}.${Math.floor(at / 256) % 256}.${at % 256}.0/24`
  })
}

interface Wish {
  readonly node: string
  /** The range that it says it has. */
  readonly held: string | undefined
  readonly signal: AbortSignal
  attempts: number
  resolve(subnet: string): void
  reject(err: unknown): void
}

type Claims = ReadonlyMap<string, Lease>

/**
 * The pod ranges of nodes. A claim is a Lease named after the range, made only when absent: two control planes that
 * register two nodes at once can't give out one range twice. A node's own earlier claim is kept; without one, as after
 * the store was put back, it gets the range that it says it has, unless that is another's. A claim whose node is gone is
 * taken over. Nodes that come all at once, as after a power cut, share a look at the claims and get a range each
 * from it: each for itself, they would reach for the same one, and most of them in vain.
 */
export class PodCidrs {
  readonly #subnets: readonly string[]
  readonly #client: Client
  readonly #waiting: Wish[] = []
  #isServing = false

  constructor(client: Client, clusterCidr: string) {
    this.#client = client
    this.#subnets = subnetsOf(clusterCidr)
  }

  async claim(node: string, { signal, held }: AbortOptions & { readonly held?: string }): Promise<string> {
    signal.throwIfAborted()
    return await new Promise<string>((resolve, reject) => {
      const stop = (): void => reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      const settle = (): void => signal.removeEventListener('abort', stop)
      const settled =
        <T>(tell: (value: T) => void): ((value: T) => void) =>
        (value) => {
          settle()
          tell(value)
        }
      this.#waiting.push({ node, held, signal, attempts: 0, resolve: settled(resolve), reject: settled(reject) })
      void this.#serveAll() // Never rejects: each wish gets its own error.
    })
  }

  async #serveAll(): Promise<void> {
    if (this.#isServing) return
    this.#isServing = true
    while (this.#waiting.length > 0) {
      const wishes = this.#waiting.splice(0, claimsAtOnce).filter(({ signal }) => !signal.aborted)
      if (wishes.length === 0) continue
      await this.#serve(wishes).catch((err: unknown) => {
        for (const wish of wishes) wish.reject(err)
      })
    }
    this.#isServing = false
  }

  async #serve(wishes: readonly Wish[]): Promise<void> {
    using anybody = whileWanted(wishes.map(({ signal }) => signal))
    const claims = await this.#claims(anybody)
    const given = new Set<string>()
    const work: Promise<void>[] = []
    // Whoever has a range comes first, so that no other gets it from the same look.
    for (const wish of wishes.toSorted((one, other) => rank(one) - rank(other))) {
      const own = this.#ownOf(wish.node, claims)
      if (own !== undefined) {
        wish.resolve(own)
        continue
      }
      const isOpen = (subnet: string): boolean => !given.has(subnet)
      const isFree = (subnet: string): boolean => isOpen(subnet) && !claims.has(claimName(subnet))
      const subnet =
        this.#subnets.find((one) => one === wish.held && isFree(one)) ??
        this.#subnets.find(isFree) ??
        (await abandoned(this.#client, this.#subnets.filter(isOpen), claims, anybody))
      if (subnet === undefined) {
        wish.reject(unavailable(`no pod range is left for node "${wish.node}": all ${this.#subnets.length} are taken`, 30))
        continue
      }
      given.add(subnet)
      work.push(this.#try(wish, subnet, claims.get(claimName(subnet))))
    }
    await Promise.all(work)
  }

  async #claims(opts: AbortOptions): Promise<Claims> {
    const { items } = await this.#client.list(Lease, { namespace, ...opts })
    const claims = items.filter(({ metadata: { name = '' } }) => name.startsWith(prefix))
    return new Map(claims.map((lease) => [lease.metadata.name ?? '', lease]))
  }

  #ownOf(node: string, claims: Claims): string | undefined {
    const held = [...claims].find(([, { spec }]) => spec?.holderIdentity === node)?.[0]
    return held === undefined ? undefined : this.#subnets.find((subnet) => claimName(subnet) === held)
  }

  async #try(wish: Wish, subnet: string, stale: Lease | undefined): Promise<void> {
    const { node, signal } = wish
    try {
      if (await tryClaim(this.#client, node, subnet, stale, { signal })) wish.resolve(subnet)
      else if (++wish.attempts < maxTries) this.#waiting.push(wish)
      else wish.reject(unavailable(`no pod range for node "${node}": others were faster ${maxTries} times`))
    } catch (err) {
      wish.reject(err)
    }
  }
}

/** A signal that is aborted once all of `signals` are: what is done for many goes on while one of them wants it. */
function whileWanted(signals: readonly AbortSignal[]): AbortOptions & Disposable {
  const own = new AbortController()
  const look = (): void => {
    if (signals.every(({ aborted }) => aborted)) own.abort(signals[0]?.reason)
  }
  for (const signal of signals) signal.addEventListener('abort', look)
  return {
    signal: own.signal,
    [Symbol.dispose]() {
      for (const signal of signals) signal.removeEventListener('abort', look)
    },
  }
}

const rank = ({ held }: Wish): number => (held === undefined ? 1 : 0)

const claimName = (subnet: string): string => `${prefix}${subnet.split('/')[0]}`

async function tryClaim(
  client: Client,
  node: string,
  subnet: string,
  stale: Lease | undefined,
  opts: AbortOptions,
): Promise<boolean> {
  const spec = { holderIdentity: node }
  const { apiVersion, kind } = Lease
  try {
    if (stale !== undefined) await client.update(Lease, { ...stale, spec }, opts)
    else await client.create(Lease, { apiVersion, kind, metadata: { name: claimName(subnet), namespace }, spec }, opts)
    return true
  } catch (err) {
    if (isAlreadyExists(err) || isConflict(err) || isNotFound(err)) return false
    throw err
  }
}

/** A range whose node no longer exists. Only looked for when no other is left, so that ranges are not reused soon. */
async function abandoned(
  client: Client,
  subnets: readonly string[],
  claims: Claims,
  opts: AbortOptions,
): Promise<string | undefined> {
  const { items } = await client.list(Node, opts)
  const nodes = new Set(items.map(({ metadata }) => metadata.name))
  return subnets.find((subnet) => !nodes.has(claims.get(claimName(subnet))?.spec?.holderIdentity))
}
