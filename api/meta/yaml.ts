import { type Document, isScalar, Lexer, Parser, type ScalarTag, type Tags, visit } from 'yaml'

/**
 * How Kubernetes' own programs read a manifest: YAML 1.1 (`0400` is octal, `yes` is true), but times and numbers to the
 * base 60 (`12:30`) are texts, `0o400` is a number too, and `!!binary` gives the text that it encodes.
 */
export const manifestYaml = {
  version: '1.1',
  merge: true,
  uniqueKeys: true,
  customTags: (tags: Tags): Tags => [newOctal, ...tags.filter((tag) => !isForeign(tag)), encodedText],
} as const

/** For writing: quotes every text that some reader of YAML 1.1 would take for something else. */
export const manifestYamlStyle = {
  version: '1.1',
  customTags: (tags: Tags): Tags => [newOctal, ...tags],
  aliasDuplicateObjects: false,
  lineWidth: 0,
  indentSeq: false,
} as const

const newOctal: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  format: 'NEW_OCTAL',
  test: /^[-+]?0o[0-7][0-7_]*$/,
  resolve: (text) => {
    const value = Number.parseInt(text.replace(/^[-+]?0o/, '').replaceAll('_', ''), 8)
    return text.startsWith('-') ? -value : value
  },
}

const encodedText: ScalarTag = {
  tag: 'tag:yaml.org,2002:binary',
  resolve: (text, onError) => {
    try {
      return new TextDecoder().decode(Uint8Array.from(atob(text.replaceAll(/\s/g, '')), (char) => char.charCodeAt(0)))
    } catch {
      onError('!!binary is not followed by base64')
      return text
    }
  },
}

function isForeign(tag: Tags[number]): boolean {
  if (typeof tag === 'string') return false
  const isBase60 = 'format' in tag && tag.format === 'TIME'
  return isBase60 || tag.tag.endsWith(':timestamp') || tag.tag.endsWith(':binary')
}

/** How much a text may hold. */
export interface YamlBounds {
  readonly levels: number
  readonly pieces: number
  /** Aliases times pieces: how much they can stand for. */
  readonly aliased: number
}

/** What is too much in a text for a reader that calls itself for each level, and reads anew what an alias stands for. Of any text: this looks without reading. */
export function tooMuchYaml(text: string, { levels, pieces: most, aliased }: YamlBounds): TextProblem | undefined {
  const parser = new Parser()
  let offset = 0
  let pieces = 0
  let aliases = 0
  for (const lexeme of new Lexer().lex(text)) {
    pieces++
    if (lexeme.startsWith('*')) aliases++
    if (pieces > most) return { offset, message: `it has more than ${most} pieces` }
    for (const _ of parser.next(lexeme));
    if (parser.stack.length > levels && isDeeper(parser.stack, levels))
      return { offset, message: `nested deeper than ${levels} levels` }
    if (!signs.has(lexeme)) offset += lexeme.length
  }
  if (aliases * pieces <= aliased) return undefined
  return { offset: 0, message: `it has ${aliases} aliases among ${pieces} pieces, which is too much` }
}

/** What the lexer says between what it reads: a document begins, a flow collection ends, a scalar follows. */
const signs = new Set(['\u0002', '\u0018', '\u001f'])
const collections = new Set(['block-map', 'block-seq', 'flow-collection'])
const isDeeper = (stack: Parser['stack'], levels: number): boolean =>
  stack.filter(({ type }) => collections.has(type)).length > levels

/** What is wrong with a text, and where. */
export interface TextProblem {
  /** In UTF-16 units from the start of the text. */
  readonly offset: number
  readonly message: string
}

/**
 * For reading what strangers wrote: the reader's own look for keys that stand twice compares each with each, and its own
 * words look up lines anew for each error. Ask `yamlProblem` instead.
 */
export const strangersYaml = { ...manifestYaml, uniqueKeys: false, prettyErrors: false, logLevel: 'silent' } as const

/** The first error of a document that was read with `strangersYaml`, or the first key that stands twice. */
export function yamlProblem(document: Document.Parsed): TextProblem | undefined {
  const [first] = document.errors
  if (first !== undefined) return { offset: first.pos[0], message: first.message }
  let problem: TextProblem | undefined
  visit(document, {
    Map(_key, { items }) {
      const keys = new Set<unknown>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        if (keys.has(key.value) && key.value !== '<<') {
          problem = { offset: key.range?.[0] ?? 0, message: 'map keys must be unique' }
          return visit.BREAK
        }
        keys.add(key.value)
      }
      return undefined
    },
  })
  return problem
}
