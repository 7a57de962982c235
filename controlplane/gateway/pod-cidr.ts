import { Lease } from '../../api/kinds/lease.ts'
import { Node } from '../../api/kinds/node.ts'
import { isAlreadyExists, isConflict, isNotFound, unavailable } from '../../api/meta/status.ts'
import type { Client } from '../../client/client.ts'
import type { AbortOptions } from '../../lib/async.ts'

const namespace = 'kube-system'
const prefix = 'skiff-podcidr-'
const maxTries = 16

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

/**
 * Claims of one control plane, one after the other: nodes that come all at once, as after a power cut, would otherwise
 * reach for the same range, and most of them in vain.
 */
export class PodCidrs {
  readonly #subnets: readonly string[]
  readonly #client: Client
  #last: Promise<unknown> = Promise.resolve()

  constructor(client: Client, clusterCidr: string) {
    this.#client = client
    this.#subnets = subnetsOf(clusterCidr)
  }

  claim(node: string, opts: AbortOptions): Promise<string> {
    const turn = this.#last.then(() => {
      opts.signal.throwIfAborted() // Who waited too long holds nobody up.
      return claimPodCidr(this.#client, node, this.#subnets, opts)
    })
    this.#last = turn.catch(() => undefined) // Seen by whoever claims.
    return turn
  }
}

/**
 * The pod range of `node`, claimed now if it has none. A claim is a Lease named after the range, made only when absent:
 * two control planes that register two nodes at once can't give out one range twice. A node's own earlier claim, and one
 * whose node is gone, are taken over.
 */
export async function claimPodCidr(
  client: Client,
  node: string,
  subnets: readonly string[],
  opts: AbortOptions,
): Promise<string> {
  for (let attempt = 0; attempt < maxTries; attempt++) {
    const { items } = await client.list(Lease, { namespace, ...opts })
    const claims = new Map(
      items.flatMap((lease) => {
        const { name = '' } = lease.metadata
        return name.startsWith(prefix) ? [[name, lease] as const] : []
      }),
    )
    const held = [...claims].find(([, { spec }]) => spec?.holderIdentity === node)?.[0]
    const own = held === undefined ? undefined : subnets.find((subnet) => claimName(subnet) === held)
    if (own !== undefined) return own
    const free = subnets.find((subnet) => !claims.has(claimName(subnet)))
    const taken = free ?? (await abandoned(client, subnets, claims, opts))
    if (taken === undefined) throw unavailable(`no pod range is left for node "${node}": all ${subnets.length} are taken`, 30)
    if (await tryClaim(client, node, taken, claims.get(claimName(taken)), opts)) return taken
  }
  throw unavailable(`no pod range for node "${node}": others were faster ${maxTries} times`)
}

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
  claims: ReadonlyMap<string, Lease>,
  opts: AbortOptions,
): Promise<string | undefined> {
  const { items } = await client.list(Node, opts)
  const nodes = new Set(items.map(({ metadata }) => metadata.name))
  return subnets.find((subnet) => !nodes.has(claims.get(claimName(subnet))?.spec?.holderIdentity))
}
