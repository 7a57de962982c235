import { Lexer, Parser, type ScalarTag, type Tags } from 'yaml'

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

/** A reader spends some 10 µs on each piece, and this often on what an alias stands for. */
const pieceLimit = 50_000
const aliasedLimit = 1_000_000

/** What is too much in a text for a reader that must not keep others waiting. Of any text: this looks without reading. */
export function tooMuchYaml(text: string, levels: number): string | undefined {
  const parser = new Parser()
  let pieces = 0
  let aliases = 0
  for (const lexeme of new Lexer().lex(text)) {
    pieces++
    if (lexeme.startsWith('*')) aliases++
    if (pieces > pieceLimit) return `it has more than ${pieceLimit} pieces`
    for (const _ of parser.next(lexeme));
    if (parser.stack.filter(({ type }) => collections.has(type)).length > levels) return `nested deeper than ${levels} levels`
  }
  return aliases * pieces > aliasedLimit ? `it has ${aliases} aliases among ${pieces} pieces, which is too much` : undefined
}

const collections = new Set(['block-map', 'block-seq', 'flow-collection'])
