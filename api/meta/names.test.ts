import { expect, test } from 'vitest'
import {
  isCIDR,
  isIPv4,
  isIPv6,
  wrongConfigKey,
  wrongEnvName,
  wrongLabel,
  wrongLabel1035,
  wrongLabelValue,
  wrongPathSegment,
  wrongPort,
  wrongPortName,
  wrongQualifiedName,
  wrongSubdomain,
} from './names.ts'

const rules = {
  label: wrongLabel,
  label1035: wrongLabel1035,
  subdomain: wrongSubdomain,
  path: wrongPathSegment,
  qualified: wrongQualifiedName,
  value: wrongLabelValue,
  env: wrongEnvName,
  config: wrongConfigKey,
  port: wrongPortName,
}
const ok = (is: boolean) => (text: string) => (is ? undefined : text)
const texts = {
  ipv4: (text: string) => ok(isIPv4(text))(text),
  ipv6: (text: string) => ok(isIPv6(text))(text),
  cidr: (text: string) => ok(isCIDR(text))(text),
}
const all = { ...rules, ...texts }
const long = (length: number) => 'a'.repeat(length)

test.each<[keyof typeof all, readonly string[], readonly string[]]>([
  ['label', ['a', '1', 'a-b', '1a', long(63)], ['', '-a', 'a-', 'A', 'a.b', 'a_b', 'a\n', long(64)]],
  ['label1035', ['a', 'a1', 'a-b'], ['1a', '', 'a-', 'A']],
  ['subdomain', ['a', 'a.b', '1.2', 'a-b.c-d'], ['', 'a..b', '.a', 'a.', 'a.-b', 'A', long(254)]],
  ['path', ['a:b', 'A B'], ['.', '..', 'a/b', 'a%2f']],
  ['qualified', ['a', 'A_b.C-d', 'example.com/a', `${long(63)}`], ['', '/a', 'a/', 'a/b/c', 'Ex.com/a', '-a', 'a b', long(64)]],
  ['value', ['', 'a', 'A_b.c', '1.0'], ['-a', 'a-', 'a b', 'a/b', long(64)]],
  ['env', ['A', 'a.b', 'a-b', '1A', 'A B'], ['', 'A=B', 'Ä', 'A\n']],
  ['config', ['a', 'a.b', '.hidden', 'A_B-c'], ['', '.', '..', '..data', 'a/b', 'a b', long(254)]],
  ['port', ['http', 'a', '8a', 'a-b'], ['', '80', 'HTTP', '-a', 'a--b', 'a-', long(16)]],
  ['ipv4', ['0.0.0.0', '255.255.255.255'], ['', '1.2.3', '256.0.0.1', '01.2.3.4', '1.2.3.4.5', ' 1.2.3.4']],
  [
    'ipv6',
    ['::', '::1', 'fe80::1', '1:2:3:4:5:6:7:8', '::ffff:1.2.3.4', '1::'],
    ['', ':', ':::', '1:2:3', '1::2::3', '12345::', '1:2:3:4:5:6:7:8:9', 'g::', '1.2.3.4::'],
  ],
  ['cidr', ['10.0.0.0/8', '::/0', '1.2.3.4/32'], ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '::/129', 'a/8']],
])('%s', (rule, right, wrong) => {
  expect(right.filter((text) => all[rule](text) !== undefined)).toEqual([])
  expect(wrong.filter((text) => all[rule](text) === undefined)).toEqual([])
})

test('a port is between 1 and 65535', () => {
  expect([0, 1, 65535, 65536].map((port) => wrongPort(port) === undefined)).toEqual([false, true, true, false])
})
