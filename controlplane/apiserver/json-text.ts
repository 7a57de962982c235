import { badRequest } from '../../api/meta/status.ts'

export const depthLimit = 100

/** A JSON text as a value, with the paths of keys that an object has twice. Throws BadRequest for what is no JSON or nested too deep. */
export function parseJson(text: string): { readonly value: unknown; readonly duplicates: readonly string[] } {
  // Looked through first: what is nested too deep must not reach a recursive reader.
  const pairs = countPairs(text)
  const value = parsed(text)
  // A key that an object has twice is in its text only: then, and only then, there are more pairs than keys.
  const duplicates = pairs === countKeys(value) ? [] : scan(text)
  if (halfEscape.test(text)) refuseHalves(value, '')
  return { value, duplicates }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (err) {
    throw badRequest(`the body is no valid JSON: ${err instanceof Error ? err.message.slice(0, 300) : 'cannot be read'}`)
  }
}

/** UTF-8 has no halves of surrogate pairs, so that only an escape can bring one. */
const halfEscape = /\\u[dD][89a-fA-F]/

/** Half of a pair would be another text at the agent than here. */
function refuseHalves(value: unknown, path: string): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw badRequest(`${path}: the text has half of a surrogate pair`)
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    const here = Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`
    if (!key.isWellFormed()) throw badRequest(`${here.toWellFormed()}: the key has half of a surrogate pair`)
    refuseHalves(inner, here)
  }
}

interface Level {
  readonly keys: Set<string> | undefined
  key: string
  index: number
}

/** How many pairs of key and value the text has, if it is JSON. Throws BadRequest when it is nested too deep. */
function countPairs(text: string): number {
  let [pairs, depth] = [0, 0]
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfText(text, at)
    else if (code === colon) pairs++
    else if (code === closeBrace || code === closeBracket) depth = Math.max(0, depth - 1)
    else if ((code === openBrace || code === openBracket) && ++depth > depthLimit) {
      throw badRequest(`the body is nested deeper than ${depthLimit} levels`)
    }
  }
  return pairs
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const part of value) count += countKeys(part)
    return count
  }
  for (const key in value) count += 1 + countKeys((value as Readonly<Record<string, unknown>>)[key])
  return count
}

const duplicatesLimit = 20

/** Walks over the tokens only; whether it is JSON at all is the parser's to say. By hand: a pattern is slow on some texts. */
function scan(text: string): readonly string[] {
  const levels: Level[] = []
  const found: string[] = []
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === openBrace || code === openBracket) enter(levels, code === openBrace)
    else if (code === closeBrace || code === closeBracket) levels.pop()
    else if (code === comma) nextOf(levels.at(-1))
    else if (code === quote) {
      const end = endOfText(text, at)
      if (isKeyNext(levels.at(-1))) noteKey(levels, text.slice(at, end + 1), found)
      at = end
    }
  }
  return found
}

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a]
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d]

/** Where the quote stands that ends the text which begins at `start`. */
function endOfText(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) return at
    if (code === backslash) at++
  }
  return text.length
}

function enter(levels: Level[], isObject: boolean): void {
  levels.push({ keys: isObject ? new Set() : undefined, key: '', index: 0 })
}

function nextOf(level: Level | undefined): void {
  if (level === undefined) return
  level.key = ''
  level.index++
}

/** A text where an object has no key yet is one. */
const isKeyNext = (level: Level | undefined): boolean => level?.keys !== undefined && level.key === ''

function noteKey(levels: readonly Level[], text: string, found: string[]): void {
  const top = levels.at(-1)
  if (top?.keys === undefined) return
  // With its quotes, so that the empty key is a key too.
  top.key = unescaped(text)
  if (top.keys.has(top.key) && found.length < duplicatesLimit) found.push(pathOf(levels))
  top.keys.add(top.key)
}

/** `"\u0061"` is another way to write `"a"`. */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text
  try {
    return `"${String(JSON.parse(text))}"`
  } catch {
    return text // The parser says it.
  }
}

const pathOf = (levels: readonly Level[]): string =>
  levels
    .map(({ keys, key, index }) => (keys === undefined ? `[${index}]` : `.${key.slice(1, -1)}`))
    .join('')
    .slice(1)
