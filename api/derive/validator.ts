import { Ajv, type ValidateFunction } from 'ajv'
import type { KindDef } from '../kinds/define.ts'
import { isQuantity } from '../meta/quantity.ts'
import { type SchemaNode, schemaNode } from './schema-node.ts'

const dateTime = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/

/** Go passes over line ends, as in what a YAML block scalar holds. */
function isBase64(text: string): boolean {
  const plain = text.replaceAll(/[\r\n]/g, '')
  return plain.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(plain)
}

const ajv = new Ajv({
  allErrors: true,
  strict: false,
  // Messages quote the value.
  verbose: true,
  inlineRefs: false,
  formats: {
    int32: true,
    int64: true,
    byte: isBase64,
    'date-time': (text: string) => dateTime.test(text) && !Number.isNaN(Date.parse(text)),
  },
})
ajv.addKeyword({
  keyword: 'x-kubernetes-quantity',
  validate: (isOn: boolean, value: unknown) =>
    !isOn || (typeof value !== 'string' && typeof value !== 'number') || isQuantity(value),
})

/** Compiled on first use. */
const validators = new Map<KindDef, ValidateFunction>()

/** What finds all that is wrong with an object of the kind, by its schema. */
export function validatorOf(kind: KindDef): ValidateFunction {
  const known = validators.get(kind)
  if (known !== undefined) return known
  const made = ajv.compile(parted(schemaNode(kind.schema)))
  validators.set(kind, made)
  return made
}

/**
 * Compiles what `validatorOf` would at its first use, one message at a time and the innermost first; `pause` is waited
 * for after each, so that others have their turn.
 */
export async function compileAhead(kinds: readonly KindDef[], pause: () => Promise<void>): Promise<void> {
  for (const kind of kinds) {
    const before = functions.size
    parted(schemaNode(kind.schema))
    for (const id of [...functions.values()].slice(before).reverse()) {
      ajv.getSchema(id)
      await pause()
    }
    validatorOf(kind)
    await pause()
  }
}

type Parted = Readonly<Record<string, unknown>>

/** Below it a function of its own costs more than the lines that it saves. */
const minFields = 4
/** Messages that have a function of their own, by the object of their fields: a field's description makes a copy around it. */
const functions = new Map<object, string>()

/**
 * The schema with a reference in the place of each larger message. Compiled in one piece, the three kinds that hold a
 * pod's specification would each have a function of some 10,000 lines, which V8 keeps for ever once one of them ran;
 * so they share one small function for each message, and of those that no object needs nothing but the text is kept.
 */
function parted(node: SchemaNode): Parted {
  const { properties, items, additionalProperties } = node
  const fields = Object.entries(properties ?? {}).map(([name, field]) => [name, partOf(field)] as const)
  return {
    ...node,
    ...(properties === undefined ? {} : { properties: Object.fromEntries(fields) }),
    ...(items === undefined ? {} : { items: partOf(items) }),
    ...(typeof additionalProperties === 'object' ? { additionalProperties: partOf(additionalProperties) } : {}),
  }
}

function partOf(node: SchemaNode): Parted {
  const { properties } = node
  if (properties === undefined || Object.keys(properties).length < minFields) return parted(node)
  const known = functions.get(properties)
  if (known !== undefined) return { $ref: known }
  const id = `message-${functions.size}`
  functions.set(properties, id)
  ajv.addSchema({ $id: id, ...parted(node) })
  return { $ref: id }
}
