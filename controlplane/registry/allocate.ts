import { Service } from '../../api/kinds/service.ts'
import { hasNodePorts } from '../../api/kinds/service-strategy.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { type FieldError, internalError, invalid, invalidObject } from '../../api/meta/status.ts'
import { assert, must } from '../../lib/assert.ts'
import { allocationPrefix } from '../store/store.ts'
import type { Extra, Taken } from './commit.ts'

/** The addresses and node ports that services are given. Each is a key in the store, created with the service or not at all. */
export interface Ranges {
  /** The network's first address as a number, and how many it has. */
  readonly base: number
  readonly size: number
  readonly cidr: string
  readonly firstPort: number
  readonly lastPort: number
}

export function parseRanges({ serviceCidr, nodePortRange }: { serviceCidr: string; nodePortRange: string }): Ranges {
  const [, ip = '', bits = ''] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(serviceCidr) ?? []
  const prefix = Number(bits)
  assert(ip !== '' && prefix >= 12 && prefix <= 29, `the network of services "${serviceCidr}" is an IPv4 network of /12 to /29`)
  const [, first = '', last = ''] = /^(\d{1,5})-(\d{1,5})$/.exec(nodePortRange) ?? []
  assert(
    first !== '' && Number(first) <= Number(last) && Number(last) <= 65_535,
    `"${nodePortRange}" is a range of ports, as in 30000-32767`,
  )
  const size = 2 ** (32 - prefix)
  const base = Math.floor(numberOf(ip) / size) * size
  return { base, size, cidr: serviceCidr, firstPort: Number(first), lastPort: Number(last) }
}

const numberOf = (ip: string): number => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const textOf = (address: number): string => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')

const ipKey = (ip: string): string => `${allocationPrefix}cluster-ips/${ip}`
const portKey = (port: number): string => `${allocationPrefix}node-ports/${port}`

interface Claims {
  readonly ip: string | undefined
  readonly ports: ReadonlySet<number>
}

function claimsOf(service: Service | undefined): Claims {
  const ip = service?.spec.clusterIP ?? ''
  const ports = (service?.spec.ports ?? []).map(({ nodePort }) => nodePort ?? 0).filter((port) => port > 0)
  return { ip: ip === '' || ip === 'None' ? undefined : ip, ports: new Set(ports) }
}

const keysOf = ({ ip, ports }: Claims): string[] => [...(ip === undefined ? [] : [ipKey(ip)]), ...[...ports].map(portKey)]

/** Decides what a service gets, and what it gives back: pure, from the services there are. */
export class ServiceAllocator {
  readonly #ranges: Ranges
  readonly #services: () => readonly Service[]

  constructor(ranges: Ranges, services: () => readonly Service[]) {
    this.#ranges = ranges
    this.#services = services
  }

  /** `next` undefined: the service goes. */
  plan(
    next: ApiObject | undefined,
    current: ApiObject | undefined,
    taken: Taken,
  ): { readonly object: ApiObject | undefined; readonly extra: Extra } {
    const old = claimsOf(current as Service | undefined) // Callers pass services only.
    const filled = next === undefined ? undefined : this.#fill(next as Service, old, taken)
    const wanted = claimsOf(filled)
    const had = new Set(keysOf(old))
    const has = new Set(keysOf(wanted))
    const owner = new TextEncoder().encode(
      JSON.stringify({ service: [filled ?? current].map((one) => `${one?.metadata.namespace}/${one?.metadata.name}`)[0] }),
    )
    const claimed = [...has].filter((key) => !had.has(key))
    const released = [...had].filter((key) => !has.has(key))
    return {
      object: filled,
      extra: {
        conditions: claimed.map((key) => ({ key, modRevision: 0 })),
        writes: [...claimed.map((put) => ({ put, value: owner })), ...released.map((key) => ({ delete: key }))],
      },
    }
  }

  #fill(service: Service, old: Claims, taken: Taken): Service {
    const { spec } = service
    if (spec.type === 'ExternalName') return service
    const errors: FieldError[] = []
    const isFree = this.#freeOf(service, taken)
    const ip = this.#address(service, { old, isFree, errors })
    const ports = hasNodePorts(spec)
      ? this.#ports(service, { old, isFree, errors })
      : spec.ports?.map(({ nodePort: _, ...port }) => port)
    if (errors.length > 0) throw invalidObject(Service, service.metadata.name ?? '', errors)
    return { ...service, spec: { ...spec, clusterIP: ip, clusterIPs: [ip], ...(ports === undefined ? {} : { ports }) } }
  }

  /** Free as far as is known: the transaction has the last word. */
  #freeOf({ metadata }: Service, taken: Taken): (key: string) => boolean {
    const used = new Set(
      this.#services()
        .filter((one) => one.metadata.uid !== metadata.uid)
        .flatMap((one) => keysOf(claimsOf(one))),
    )
    return (key) => !used.has(key) && !taken.has(key)
  }

  #address({ spec, metadata }: Service, { old, isFree, errors }: Finding): string {
    const { base, size, cidr } = this.#ranges
    const wanted = spec.clusterIP ?? ''
    if (wanted === 'None' || (wanted !== '' && wanted === old.ip)) return wanted
    if (wanted !== '') {
      const why = this.#wrongAddress(wanted, isFree)
      if (why !== undefined) errors.push(invalid('spec.clusterIPs', [wanted], `failed to allocate IP ${wanted}: ${why}`))
      return wanted
    }
    // The first ones are for what asks for a fixed address: the API itself and DNS.
    const reserved = Math.min(16, Math.floor(size / 4))
    const room = size - 1 - reserved
    const start = hashOf(metadata.uid ?? '') % room
    for (let step = 0; step < room; step++) {
      const ip = textOf(base + reserved + ((start + step) % room))
      if (isFree(ipKey(ip))) return ip
    }
    throw internalError(`failed to allocate a service IP: range ${cidr} is full`)
  }

  #wrongAddress(wanted: string, isFree: (key: string) => boolean): string | undefined {
    const { base, size, cidr } = this.#ranges
    const at = /^\d+\.\d+\.\d+\.\d+$/.test(wanted) ? numberOf(wanted) - base : -1
    if (at <= 0 || at >= size - 1) return `the provided IP is not in the valid range. The range of valid IPs is ${cidr}`
    return isFree(ipKey(wanted)) ? undefined : 'provided IP is already allocated'
  }

  #ports({ spec, metadata }: Service, { old, isFree, errors }: Finding): Service['spec']['ports'] {
    const mine = new Set((spec.ports ?? []).map(({ nodePort }) => nodePort ?? 0))
    return spec.ports?.map((port, index) => {
      const wanted = port.nodePort ?? 0
      const isNew = wanted > 0 && !old.ports.has(wanted)
      const why = isNew ? this.#wrongPort(wanted, isFree) : undefined
      if (why !== undefined) errors.push(invalid(`spec.ports[${index}].nodePort`, wanted, why))
      if (wanted > 0) return port
      const nodePort = this.#freePort(`${metadata.uid}/${index}`, (one) => !mine.has(one) && isFree(portKey(one)))
      mine.add(nodePort)
      return { ...port, nodePort }
    })
  }

  #wrongPort(wanted: number, isFree: (key: string) => boolean): string | undefined {
    const { firstPort, lastPort } = this.#ranges
    if (wanted < firstPort || wanted > lastPort) {
      return `provided port is not in the valid range. The range of valid ports is ${firstPort}-${lastPort}`
    }
    return isFree(portKey(wanted)) ? undefined : 'provided port is already allocated'
  }

  #freePort(seed: string, isFree: (port: number) => boolean): number {
    const { firstPort, lastPort } = this.#ranges
    const room = lastPort - firstPort + 1
    const start = hashOf(seed) % room
    for (let step = 0; step < room; step++) {
      const port = firstPort + ((start + step) % room)
      if (isFree(port)) return port
    }
    throw internalError(`failed to allocate a nodePort: range ${firstPort}-${lastPort} is full`)
  }
}

interface Finding {
  readonly old: Claims
  readonly isFree: (key: string) => boolean
  readonly errors: FieldError[]
}

/** FNV-1a: where the search begins, so that services seldom meet and an address is not given out again at once. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ must(text.codePointAt(i), 'within the text'), 0x01000193) >>> 0
  return hash
}
