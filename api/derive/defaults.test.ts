import { expect, test } from 'vitest'
import { Service } from '../kinds/service.ts'
import { applyDefaults } from './defaults.ts'
import { schemaNode } from './schema-node.ts'

const schema = {
  type: 'object',
  properties: {
    count: { type: 'integer', default: 1 },
    made: { type: 'object', default: {}, properties: { kind: { type: 'string', default: 'a' } } },
    maybe: { type: 'object', properties: { kind: { type: 'string', default: 'b' } } },
    list: { type: 'array', items: { type: 'object', properties: { port: { type: 'integer', default: 80 } } } },
    map: { type: 'object', additionalProperties: { type: 'object', properties: { on: { type: 'boolean', default: true } } } },
  },
} as const

test('defaults are set in the objects and items that are there', () => {
  expect(applyDefaults(schema, { list: [{}, { port: 1 }], map: { x: {} } })).toEqual({
    count: 1,
    made: { kind: 'a' },
    list: [{ port: 80 }, { port: 1 }],
    map: { x: { on: true } },
  })
  expect(applyDefaults(schema, { count: 0, maybe: {} })).toEqual({ count: 0, made: { kind: 'a' }, maybe: { kind: 'b' } })
})

test('what is complete is given back as it is', () => {
  const complete = { count: 0, made: { kind: 'x' }, list: [{ port: 1 }] }
  expect(applyDefaults(schema, complete)).toBe(complete)
})

test('a frozen object can be defaulted', () => {
  const service = Object.freeze({ spec: Object.freeze({ ports: Object.freeze([Object.freeze({ port: 80 })]) }) })
  expect(applyDefaults(schemaNode(Service.schema), service)).toMatchObject({
    spec: { type: 'ClusterIP', ports: [{ protocol: 'TCP' }] },
  })
})
