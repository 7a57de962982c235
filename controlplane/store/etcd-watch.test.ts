import { expect, test } from 'vitest'
import { isFixed } from './etcd-watch.ts'

test.each([
  ['3.4.23', false],
  ['3.4.25', true],
  ['3.5.7', false],
  ['3.5.16', true],
  ['3.6.0', true],
  ['4.0.0', true],
  ['3.3.27', false],
  ['', false],
])('the progress that etcd %s reports is trusted: %s', (version, isTrusted) => {
  expect(isFixed(version)).toBe(isTrusted)
})
