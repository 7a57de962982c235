import type { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { requesterOf } from './identity.ts'

const socket = (user: string, ...groups: readonly string[]): TLSSocket => {
  const peer = { authorized: user !== '', getPeerCertificate: () => ({ subject: { CN: user, O: groups } }) }
  return peer as unknown as TLSSocket
}
const admin = socket('admin', 'system:masters')

test('a request has the rights of its certificate', () => {
  expect(requesterOf(admin, {})).toEqual({ user: 'admin', groups: ['system:masters', 'system:authenticated'] })
  expect(() => requesterOf(socket(''), {})).toThrow('Unauthorized')
  expect(() => requesterOf(socket(''), { 'impersonate-user': 'bob' })).toThrow('Unauthorized')
})

test('an administrator can be held to the rights of somebody else', () => {
  expect(requesterOf(admin, { 'impersonate-user': 'bob' })).toEqual({ user: 'bob', groups: ['system:authenticated'] })
  const headers = { 'impersonate-user': 'system:node:n1', 'impersonate-group': 'system:nodes, others' }
  expect(requesterOf(admin, headers).groups).toEqual(['system:nodes', 'others', 'system:authenticated'])
  expect(() => requesterOf(admin, { 'impersonate-group': 'others' })).toThrow('Impersonate-User is missing')
})

test('nobody else can ask for the rights of another', () => {
  const node = socket('system:node:n1', 'system:nodes')
  expect(() => requesterOf(node, { 'impersonate-user': 'admin', 'impersonate-group': 'system:masters' })).toThrow(
    'users "admin" is forbidden: User "system:node:n1" cannot impersonate resource "users"',
  )
})
