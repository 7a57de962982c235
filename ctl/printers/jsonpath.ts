import { UserError } from '../output.ts'

/** A step of a path: from some values to some values. */
type Step = (values: readonly unknown[]) => readonly unknown[]
type Part =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'path'; readonly steps: readonly Step[] }
  | { readonly type: 'range'; readonly steps: readonly Step[]; readonly body: readonly Part[] }

/** kubectl's JSONPath template: text, `{.a.b}`, `{.items[*].x}`, `{[?(@.type=="Ready")]}`, `{range …}…{end}`, `{"\n"}`. */
export function compileJsonPath(template: string): (root: unknown) => string {
  const source = template.includes('{') ? template : `{${template}}`
  const tokens = [...source.matchAll(/\{((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^{}])*)\}|([^{}]+)/g)]
  const covered = tokens.reduce((sum, token) => sum + token[0].length, 0)
  if (covered !== source.length) throw bad(template, 'unclosed action')
  const reader = { tokens, at: 0, template }
  const parts = readParts(reader, false)
  return (root) => render(parts, root, root)
}

/** The values that the paths of a template give, whatever else it holds. */
export function compileValues(template: string): (root: unknown) => readonly unknown[] {
  const paths = [...template.matchAll(/\{([^{}]*)\}/g)].map(([, path = '']) => readPath(path.trim(), template))
  return (root) => paths.flatMap((steps) => run(steps, root))
}

/** The values at one path, as `.spec.ports[*].port`. */
export function compilePath(path: string): (root: unknown) => readonly unknown[] {
  const steps = readPath(path.replace(/^\{(.*)\}$/, '$1'), path)
  return (root) => run(steps, root)
}

interface Reader {
  readonly tokens: readonly RegExpMatchArray[]
  at: number
  readonly template: string
}

function readParts(reader: Reader, inRange: boolean): readonly Part[] {
  const parts: Part[] = []
  while (reader.at < reader.tokens.length) {
    const token = reader.tokens[reader.at++]
    const plain = token?.[2]
    const inner = (token?.[1] ?? '').trim()
    if (plain !== undefined) parts.push({ type: 'text', text: plain })
    else if (inner === 'end') {
      if (!inRange) throw bad(reader.template, '{end} without {range}')
      return parts
    } else if (/^range\b/.test(inner)) {
      const steps = readPath(inner.slice(5).trim(), reader.template)
      parts.push({ type: 'range', steps, body: readParts(reader, true) })
    } else if (/^["']/.test(inner)) parts.push({ type: 'text', text: unquote(inner) })
    else parts.push({ type: 'path', steps: readPath(inner, reader.template) })
  }
  if (inRange) throw bad(reader.template, '{range} without {end}')
  return parts
}

function render(parts: readonly Part[], current: unknown, root: unknown): string {
  return parts
    .map((part) => {
      if (part.type === 'text') return part.text
      const values = run(part.steps, current)
      if (part.type === 'range') return values.map((value) => render(part.body, value, root)).join('')
      return values.map(show).join(' ')
    })
    .join('')
}

const run = (steps: readonly Step[], from: unknown): readonly unknown[] =>
  steps.reduce((values, step) => step(values), [from] as readonly unknown[])
const show = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))
const bad = (template: string, why: string): UserError => new UserError(`error: error parsing jsonpath ${template}, ${why}`)

const stepPattern = new RegExp(
  [
    String.raw`^\.\.([\w-]+|\*)`, // recursive descent
    String.raw`^\.?\[\?\(((?:"[^"]*"|'[^']*'|[^()"'])*)\)\]`, // filter
    String.raw`^\.?\[(\*|-?\d*:-?\d*|-?\d+|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]`, // index, slice, wildcard, key
    String.raw`^\.((?:[^.[\]\\\s]|\\.)+)`, // field
    String.raw`^(\.)$`, // the value itself
  ].join('|'),
)

function readPath(path: string, template: string): readonly Step[] {
  let rest = path.replace(/^[$@]/, '')
  if (!/^[.[]/.test(rest) && rest !== '') rest = `.${rest}`
  const steps: Step[] = []
  while (rest !== '') {
    const match = stepPattern.exec(rest)
    if (match === null) throw bad(template, `unexpected "${rest}"`)
    const [whole, deep, filter, bracket, field] = match
    if (deep !== undefined) steps.push((values) => values.flatMap((value) => descend(value, deep)))
    else if (filter !== undefined) steps.push(filterStep(filter, template))
    else if (bracket !== undefined) steps.push(bracketStep(bracket))
    else if (field !== undefined) steps.push(fieldStep(field.replaceAll(/\\(.)/g, '$1')))
    rest = rest.slice(whole.length)
  }
  return steps
}

function fieldStep(name: string): Step {
  if (name === '*') return (values) => values.flatMap(children)
  return (values) => values.flatMap((value) => member(value, name))
}

function bracketStep(inner: string): Step {
  if (inner === '*') return (values) => values.flatMap(children)
  if (/^['"]/.test(inner)) return fieldStep(unquote(inner))
  if (inner.includes(':')) {
    const [from = '', to = ''] = inner.split(':')
    return (values) =>
      values.flatMap((value) =>
        Array.isArray(value) ? value.slice(from === '' ? 0 : Number(from), to === '' ? undefined : Number(to)) : [],
      )
  }
  return (values) =>
    values.flatMap((value) => {
      const item = Array.isArray(value) ? value.at(Number(inner)) : undefined
      return item === undefined ? [] : [item]
    })
}

function filterStep(condition: string, template: string): Step {
  const match = /^\s*@([^=!<>\s]*)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?$/.exec(condition)
  if (match === null) throw bad(template, `unreadable filter "${condition}"`)
  const [, path = '', operator, literal] = match
  const steps = readPath(path, template)
  const wanted = literal === undefined ? undefined : readLiteral(literal)
  return (values) => values.flatMap(children).filter((item) => run(steps, item).some((found) => compare(found, operator, wanted)))
}

function compare(found: unknown, operator: string | undefined, wanted: unknown): boolean {
  if (operator === undefined) return true
  if (operator === '==') return found === wanted
  if (operator === '!=') return found !== wanted
  if (typeof found !== typeof wanted || (typeof found !== 'number' && typeof found !== 'string')) return false
  const order = found < (wanted as typeof found) ? -1 : found > (wanted as typeof found) ? 1 : 0
  return { '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[operator] ?? false
}

function readLiteral(literal: string): unknown {
  if (/^['"]/.test(literal)) return unquote(literal)
  if (literal === 'true' || literal === 'false') return literal === 'true'
  return Number.isNaN(Number(literal)) ? literal : Number(literal)
}

function unquote(quoted: string): string {
  const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' }
  return quoted.slice(1, -1).replaceAll(/\\(.)/g, (_, char: string) => escapes[char] ?? char)
}

function member(value: unknown, name: string): readonly unknown[] {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return []
  return [(value as Readonly<Record<string, unknown>>)[name]]
}

function children(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return typeof value === 'object' && value !== null ? Object.values(value) : []
}

function descend(value: unknown, name: string): readonly unknown[] {
  const own = name === '*' ? children(value) : member(value, name)
  return [...own, ...children(value).flatMap((child) => descend(child, name))]
}
