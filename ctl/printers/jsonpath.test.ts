import { expect, test } from 'vitest'
import { UserError } from '../output.ts'
import { compileJsonPath } from './jsonpath.ts'

const list = {
  kind: 'List',
  items: [
    {
      metadata: { name: 'a', labels: { 'x/y': 'one', 'app.io/z': 'two' } },
      status: {
        addresses: [
          { type: 'InternalIP', address: '10.0.0.1' },
          { type: 'Hostname', address: 'a' },
        ],
      },
      n: 1,
    },
    { metadata: { name: 'b' }, status: { addresses: [{ type: 'InternalIP', address: '10.0.0.2' }] }, n: 5 },
  ],
}

test.each([
  ['{.kind}', 'List'],
  ['.kind', 'List'],
  ['kind', 'List'],
  ['{$.kind}', 'List'],
  ['{.items[*].metadata.name}', 'a b'],
  ['{.items[0].metadata.name}', 'a'],
  ['{.items[-1].metadata.name}', 'b'],
  ['{.items[0:1].metadata.name}', 'a'],
  ['{.items[*].status.addresses[?(@.type=="InternalIP")].address}', '10.0.0.1 10.0.0.2'],
  ['{.items[?(@.n>2)].metadata.name}', 'b'],
  ['{.items[?(@.metadata.labels)].metadata.name}', 'a'],
  ["{.items[0].metadata.labels['x/y']}", 'one'],
  ['{.items[0].metadata.labels.app\\.io/z}', 'two'],
  ['{range .items[*]}{.metadata.name}={.n}{"\\n"}{end}', 'a=1\nb=5\n'],
  ['names: {.items[*].metadata.name}!', 'names: a b!'],
  ['{..name}', 'a b'],
  ['{.missing.deeper}', ''],
  ['{.items[0].metadata.labels}', '{"x/y":"one","app.io/z":"two"}'],
])('%s gives %j', (template, expected) => {
  expect(compileJsonPath(template)(list)).toBe(expected)
})

test.each(['{.items[}', '{range .items[*]}x', '{end}', '{.a', '{.items[?(@.x ~ 3)]}'])('%s is refused', (template) => {
  expect(() => compileJsonPath(template)).toThrow(UserError)
})

test('an object cannot be reached through its prototype', () => {
  expect(compileJsonPath('{.constructor}{.__proto__}')({})).toBe('')
})
