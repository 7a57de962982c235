import type { TSchema } from '../kinds/schema.ts'

/** A kind's schema as the derivations read it: JSON Schema, with the keywords of `kinds/schema.ts`. */
export interface SchemaNode {
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly description?: string
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly required?: readonly string[]
  readonly items?: SchemaNode
  readonly additionalProperties?: SchemaNode | boolean
  readonly 'x-name'?: string
  readonly 'x-doc'?: string
  readonly 'x-proto'?: number
  readonly 'x-proto-in'?: number
  readonly 'x-proto-type'?: string
  readonly 'x-pointer'?: boolean
  readonly 'x-skiff'?: 'ignored' | 'refused'
  readonly 'x-list-type'?: string
  readonly 'x-list-map-keys'?: readonly string[]
  readonly 'x-patch-merge-key'?: string
  readonly 'x-patch-strategy'?: string
  readonly 'x-kubernetes-quantity'?: boolean
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-group-version-kind'?: readonly unknown[]
}

export const schemaNode = (schema: TSchema): SchemaNode => schema as unknown as SchemaNode

export const isPlainObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export type JsonRecord = Readonly<Record<string, unknown>>
