import { badRequest } from '../../api/meta/status.ts'

export const depthLimit = 100

/** A JSON text as a value, with the paths of keys that an object has twice. Throws BadRequest for what is no JSON or nested too deep. */
export function parseJson(text: string): { readonly value: unknown; readonly duplicates: readonly string[] } {
  // Looked through first: what is nested too deep must not reach a recursive reader.
  const duplicates = scan(text)
  try {
    return { value: JSON.parse(text), duplicates }
  } catch (err) {
    throw badRequest(`the body is no valid JSON: ${err instanceof Error ? err.message.slice(0, 300) : 'cannot be read'}`)
  }
}

interface Level {
  readonly keys: Set<string> | undefined
  key: string
  index: number
}

const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gs
const duplicatesLimit = 20

/** Walks over the tokens only; whether it is JSON at all is the parser's to say. */
function scan(text: string): readonly string[] {
  const levels: Level[] = []
  const found: string[] = []
  for (const [part] of text.matchAll(token)) {
    if (part === '{' || part === '[') enter(levels, part)
    else if (part === '}' || part === ']') levels.pop()
    else if (part === ',') nextOf(levels.at(-1))
    else if (part !== ':') noteKey(levels, part, found)
  }
  return found
}

function enter(levels: Level[], bracket: '{' | '['): void {
  if (levels.length >= depthLimit) throw badRequest(`the body is nested deeper than ${depthLimit} levels`)
  levels.push({ keys: bracket === '{' ? new Set() : undefined, key: '', index: 0 })
}

function nextOf(level: Level | undefined): void {
  if (level === undefined) return
  level.key = ''
  level.index++
}

/** A text where an object has no key yet is one. */
function noteKey(levels: readonly Level[], text: string, found: string[]): void {
  const top = levels.at(-1)
  if (top?.keys === undefined || top.key !== '') return
  // With its quotes, so that the empty key is a key too.
  top.key = text
  if (top.keys.has(text) && found.length < duplicatesLimit) found.push(pathOf(levels))
  top.keys.add(text)
}

const pathOf = (levels: readonly Level[]): string =>
  levels
    .map(({ keys, key, index }) => (keys === undefined ? `[${index}]` : `.${key.slice(1, -1)}`))
    .join('')
    .slice(1)
