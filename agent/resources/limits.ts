import { quantityMilli, quantityValue } from '../../api/meta/quantity.ts'
import type { NodeFacts } from '../contracts.ts'
import type { Container } from '../pods/pod-types.ts'

/** The kernel's least share, and the value of one CPU. */
const minShares = 2
const sharesPerCpu = 1024
const maxShares = 262_144
/** Docker takes no memory limit below this. */
const minMemoryBytes = 6 * 1024 * 1024

export interface Limits {
  readonly cpuShares: number
  readonly cpuLimitMicro: number | undefined
  readonly memoryLimitBytes: number | undefined
}

/** What a container's requests and limits mean for the engine. A limit without a request is the request too. */
export function limitsOf({ resources }: Container): Limits {
  const limitMilli = milli(resources?.limits?.['cpu'])
  const requestMilli = milli(resources?.requests?.['cpu']) ?? limitMilli ?? 0
  const memory = resources?.limits?.['memory']
  const memoryBytes = memory === undefined ? undefined : quantityValue(String(memory))
  return {
    cpuShares: Math.min(maxShares, Math.max(minShares, Math.floor((requestMilli * sharesPerCpu) / 1000))),
    cpuLimitMicro: limitMilli === undefined || limitMilli === 0 ? undefined : Math.max(10_000, limitMilli * 1000),
    memoryLimitBytes: memoryBytes === undefined || memoryBytes === 0 ? undefined : Math.max(minMemoryBytes, memoryBytes),
  }
}

const milli = (quantity: string | number | undefined): number | undefined =>
  quantity === undefined ? undefined : quantityMilli(String(quantity))

/** Value of a `resourceFieldRef`, as in `limits.cpu`; a limit that is not set is what the node has. undefined: no such resource. */
export function resourceField(
  container: Container,
  { resource, divisor }: { readonly resource: string; readonly divisor?: string | number },
  node: NodeFacts,
): string | undefined {
  const [list, name = ''] = splitOnce(resource)
  const isCpu = name === 'cpu'
  if ((list !== 'limits' && list !== 'requests') || !['cpu', 'memory', 'ephemeral-storage'].includes(name)) return undefined
  const own = container.resources?.[list]?.[name] ?? (list === 'requests' ? container.resources?.limits?.[name] : undefined)
  const nodeMilli = isCpu ? node.cpuMilli : name === 'memory' ? node.memoryBytes * 1000 : 0
  const fallbackMilli = list === 'limits' ? nodeMilli : 0
  const valueMilli = own === undefined ? fallbackMilli : isCpu ? quantityMilli(String(own)) : quantityValue(String(own)) * 1000
  const unit = divisor === undefined || String(divisor) === '' || String(divisor) === '0' ? 1000 : quantityMilli(String(divisor))
  return String(Math.ceil(valueMilli / Math.max(unit, 1)))
}

function splitOnce(text: string): readonly [string, string | undefined] {
  const at = text.indexOf('.')
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}
