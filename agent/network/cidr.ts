/** An IPv4 range; addresses are unsigned 32-bit numbers. */
export interface Cidr {
  readonly first: number
  readonly last: number
  readonly prefix: number
}

export class CidrError extends Error {
  override readonly name = 'CidrError'
}

export function parseIp(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (match === null) return undefined
  const bytes = match.slice(1).map(Number)
  if (bytes.some((byte) => byte > 255)) return undefined
  return bytes.reduce((address, byte) => address * 256 + byte, 0)
}

export function formatIp(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.')
}

/** Throws CidrError unless `text` is a range such as `10.85.0.0/24`. */
export function parseCidr(text: string): Cidr {
  const [ip = '', bits = ''] = text.split('/')
  const address = parseIp(ip)
  const prefix = /^\d{1,2}$/.test(bits) ? Number(bits) : Number.NaN
  if (address === undefined || !(prefix >= 0 && prefix <= 32))
    throw new CidrError(`"${text}" is not an IPv4 range such as 10.85.0.0/24`)
  const size = 2 ** (32 - prefix)
  const first = Math.floor(address / size) * size
  return { first, last: first + size - 1, prefix }
}

export function contains({ first, last }: Cidr, address: number): boolean {
  return address >= first && address <= last
}

/** The node's own address in its pods' range: the first one. */
export function gatewayOf(cidr: Cidr): string {
  return formatIp(cidr.first + 1)
}
