import fc from 'fast-check'
import type { TSchema } from '../kinds/schema.ts'

/** The keywords of a kind's schema that say what a value looks like. */
interface Shape {
  readonly type?: string | readonly string[]
  readonly enum?: readonly string[]
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
  readonly items?: Shape
  readonly additionalProperties?: Shape | boolean
  readonly 'x-kubernetes-quantity'?: boolean
  readonly 'x-skiff'?: string
}

/** Texts that names, paths, amounts and selectors are made of, right and wrong. */
const texts = [
  '',
  'a',
  'web',
  'A b',
  '-x',
  'a/b',
  'example.com/a',
  '/abs',
  '../up',
  '10.0.0.1',
  'None',
  '25%',
  '0%',
  'http',
  'metadata.name',
  '-',
  '🙂',
]
const quantities = ['0', '1', '250m', '64Mi', '1e3', '-1']
const dates = ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.123456Z']

/** Any value that the schema lets through: and nothing refused: right in form, seldom right in meaning. */
export function anyOf(schema: TSchema): fc.Arbitrary<unknown> {
  return arbitraryOf(schema as Shape)
}

function arbitraryOf(shape: Shape): fc.Arbitrary<unknown> {
  if (shape.enum !== undefined) return fc.constantFrom(...shape.enum)
  const type = typeof shape.type === 'string' ? shape.type : shape.type?.[0]
  switch (type) {
    case 'object':
      return objectOf(shape)
    case 'array':
      return fc.array(arbitraryOf(shape.items ?? {}), { maxLength: 3 })
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return fc.oneof(fc.constantFrom(-1, 0, 1, 2, 80, 30_080), fc.integer({ min: shape.minimum ?? -9, max: shape.maximum ?? 9 }))
    default:
      return textOf(shape)
  }
}

function textOf(shape: Shape): fc.Arbitrary<string> {
  if (shape['x-kubernetes-quantity'] === true) return fc.constantFrom(...quantities)
  if (shape.format === 'byte') return fc.constantFrom('', 'MQ==', 'e30=')
  if (shape.format === 'date-time') return fc.constantFrom(...dates)
  return fc.oneof(fc.constantFrom(...texts), fc.string({ maxLength: 5 }))
}

function objectOf({ properties, required = [], additionalProperties }: Shape): fc.Arbitrary<unknown> {
  if (properties !== undefined) {
    const honoured = Object.entries(properties).filter(([, shape]) => shape['x-skiff'] !== 'refused')
    const fields = Object.fromEntries(honoured.map(([name, shape]) => [name, arbitraryOf(shape)]))
    return fc.record(fields, { requiredKeys: required.filter((name) => name in fields), noNullPrototype: true })
  }
  if (typeof additionalProperties !== 'object') return fc.constant({})
  return fc.dictionary(fc.constantFrom(...texts), arbitraryOf(additionalProperties), { maxKeys: 2, noNullPrototype: true })
}
