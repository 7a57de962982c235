import { expect, test } from 'vitest'
import { contains, formatIp, gatewayOf, parseCidr, parseIp } from './cidr.ts'

test.each([
  ['0.0.0.0', 0],
  ['10.0.0.1', 0x0a000001],
  ['255.255.255.255', 0xffffffff],
])('%s is read and written', (text, address) => {
  expect(parseIp(text)).toBe(address)
  expect(formatIp(address)).toBe(text)
})

test.each(['', '10.0.0', '10.0.0.256', '10.0.0.1.2', 'fe80::1', ' 10.0.0.1', '1e1.0.0.0'])('"%s" is no address', (text) => {
  expect(parseIp(text)).toBeUndefined()
})

test('a range knows its ends and its gateway, also when written with a host part', () => {
  const cidr = parseCidr('10.85.3.77/24')
  expect([formatIp(cidr.first), formatIp(cidr.last), gatewayOf(cidr)]).toEqual(['10.85.3.0', '10.85.3.255', '10.85.3.1'])
  expect(contains(cidr, parseIp('10.85.3.200') ?? 0)).toBe(true)
  expect(contains(cidr, parseIp('10.85.4.0') ?? 0)).toBe(false)
  expect(parseCidr('0.0.0.0/0').last).toBe(0xffffffff)
})

test.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', '/8', '10.0.0.0/-1', 'fd00::/8'])('"%s" is no range', (text) => {
  expect(() => parseCidr(text)).toThrow(`"${text}" is not an IPv4 range`)
})
