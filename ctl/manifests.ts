import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Document, isMap, isScalar, LineCounter, parseAllDocuments } from 'yaml'
import type { KindDef } from '../api/kinds/define.ts'
import { kindOf, kinds } from '../api/kinds/registry.ts'
import type { ApiObject } from '../api/meta/object-meta.ts'
import { StatusError } from '../api/meta/status.ts'
import { strangersYaml, tooMuchYaml, yamlProblem } from '../api/meta/yaml.ts'
import { UserError } from './output.ts'

/** One object of a manifest, with the way back to its lines. */
export interface Manifest {
  readonly object: ApiObject
  readonly kind: KindDef
  /** As the user named it; `-` is standard input. */
  readonly file: string
  /** Line of a field path such as `spec.containers[0].image`, or of the nearest field above it that is written. */
  lineOf(path: string): number
}

const fileLimitBytes = 16 * 1024 * 1024
const objectLimit = 10_000
/** Levels as the API takes them. */
const bounds = { levels: 100, pieces: 4_000_000, aliased: 10_000_000 }

export interface LoadOptions {
  readonly recursive: boolean
  readonly stdin: AsyncIterable<Uint8Array | string>
}

/** Reads files, folders (their .yaml, .yml and .json files in order) and `-`. A bad one fails the whole with file and line. */
export async function loadManifests(paths: readonly string[], options: LoadOptions): Promise<readonly Manifest[]> {
  if (paths.length === 0) throw new UserError('error: must specify one of -f')
  const manifests: Manifest[] = []
  for (const path of paths) {
    for (const [file, text] of await readSources(path, options)) manifests.push(...parseManifests(file, text))
    if (manifests.length > objectLimit) throw new UserError(`error: more than ${objectLimit} objects`)
  }
  if (manifests.length === 0) throw new UserError(`error: no objects passed to apply: ${paths.join(', ')} is empty`)
  return manifests
}

async function readSources(path: string, options: LoadOptions): Promise<readonly (readonly [string, string])[]> {
  if (path === '-') return [['-', await readAll(options.stdin)]]
  const info = await stat(path).catch(() => undefined)
  if (info === undefined) throw new UserError(`error: the path "${path}" does not exist`)
  if (!info.isDirectory()) return [[path, await readBounded(path, info.size)]]
  const entries = await readdir(path, { withFileTypes: true, recursive: options.recursive })
  const files = entries
    .filter((entry) => entry.isFile() && /\.(ya?ml|json)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
  if (files.length === 0) throw new UserError(`error: no .yaml, .yml or .json file in "${path}"`)
  return await Promise.all(files.sort().map(async (file) => [file, await readBounded(file, (await stat(file)).size)] as const))
}

async function readBounded(file: string, size: number): Promise<string> {
  if (size > fileLimitBytes) throw new UserError(`error: ${file} is larger than ${fileLimitBytes / 1024 / 1024} MiB`)
  return textOf(file, await readFile(file))
}

async function readAll(stream: AsyncIterable<Uint8Array | string>): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    size += bytes.length
    if (size > fileLimitBytes) throw new UserError(`error: standard input is larger than ${fileLimitBytes / 1024 / 1024} MiB`)
    chunks.push(bytes)
  }
  return textOf('standard input', Buffer.concat(chunks))
}

/** What is no UTF-8 would be stored as something else. */
function textOf(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    const sound = new TextDecoder('utf-8').decode(bytes).split('\ufffd', 1)[0] ?? ''
    throw new UserError(`error: ${file}:${lineAt(sound, sound.length)}: it is not UTF-8`)
  }
}

/** The objects of one YAML (or JSON) text; Lists are taken apart. */
export function parseManifests(file: string, text: string): readonly Manifest[] {
  const lineCounter = new LineCounter()
  const at = (offset: number, why: string): UserError =>
    new UserError(`error: ${file}:${lineCounter.linePos(offset).line}: ${why}`)
  const wrong = tooMuchYaml(text, bounds)
  if (wrong !== undefined) throw new UserError(`error: ${file}:${lineAt(text, wrong.offset)}: ${wrong.message}`)
  const documents = parseAllDocuments(text, { ...strangersYaml, lineCounter })
  if (!Array.isArray(documents)) return []
  return documents.flatMap((document) => {
    const problem = yamlProblem(document)
    if (problem !== undefined) throw at(problem.offset, shortened(problem.message))
    return readDocument(file, document, lineCounter)
  })
}

/** Some messages quote all of a text. */
const shortened = (message: string): string => (message.length > 300 ? `${message.slice(0, 300)}…` : message)

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length

function readDocument(file: string, document: Document.Parsed, lines: LineCounter): readonly Manifest[] {
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return []
  const lineAt = (path: readonly (string | number)[]): number => nearestLine(document, path, lines)
  const value = toPlain(document, file, lineAt([]))
  if (!isMap(document.contents)) throw new UserError(`error: ${file}:${lineAt([])}: expected an object with apiVersion and kind`)
  const { kind, items } = value
  if (kind === 'List' && Array.isArray(items))
    return items.map((item, index) => readObject(file, item, (path) => lineAt(['items', index, ...path])))
  return [readObject(file, value, lineAt)]
}

function toPlain(document: Document.Parsed, file: string, line: number): Readonly<Record<string, unknown>> {
  try {
    // Aliases beyond this are a bomb, not a manifest.
    return document.toJS({ maxAliasCount: 100 }) as Readonly<Record<string, unknown>>
  } catch (err) {
    throw new UserError(`error: ${file}:${line}: ${err instanceof Error ? err.message : String(err)}`)
  }
}

function readObject(file: string, value: unknown, lineAt: (path: readonly (string | number)[]) => number): Manifest {
  const at = (path: readonly (string | number)[], why: string): UserError =>
    new UserError(`error: ${file}:${lineAt(path)}: ${why}`)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw at([], 'expected an object with apiVersion and kind')
  const { apiVersion, kind, metadata } = value as Readonly<Record<string, unknown>>
  if (typeof apiVersion !== 'string' || apiVersion === '') throw at([], 'apiVersion: Required value')
  if (typeof kind !== 'string' || kind === '') throw at([], 'kind: Required value')
  const def = kindOf(apiVersion, kind)
  if (def === undefined) throw at(['kind'], `no matches for kind "${kind}" in version "${apiVersion}"${hint(kind)}`)
  if (typeof metadata !== 'object' || metadata === null) throw at([], 'metadata: Required value')
  return { object: value as ApiObject, kind: def, file, lineOf: (path) => lineAt(splitPath(path)) }
}

function hint(kind: string): string {
  const same = kinds.find((known) => known.kind.toLowerCase() === kind.toLowerCase())
  return same === undefined ? '' : ` (did you mean kind ${same.kind} in ${same.apiVersion}?)`
}

/** `spec.containers[0].image` and `metadata.labels[a/b]` as steps. */
export function splitPath(path: string): readonly (string | number)[] {
  return [...path.matchAll(/\[([^\]]*)\]|([^.[\]]+)/g)].map(([, bracket, name]) => {
    if (bracket === undefined) return name ?? ''
    return /^\d+$/.test(bracket) ? Number(bracket) : bracket.replace(/^"(.*)"$/, '$1')
  })
}

function nearestLine(document: Document.Parsed, path: readonly (string | number)[], lines: LineCounter): number {
  for (let length = path.length; length > 0; length--) {
    const offset = keyOffset(document, path.slice(0, length))
    if (offset !== undefined) return lines.linePos(offset).line
  }
  return lines.linePos(document.contents?.range?.[0] ?? 0).line
}

/** Where the key (or list item) of a path stands in the text. */
function keyOffset(document: Document.Parsed, path: readonly (string | number)[]): number | undefined {
  const parent: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true)
  const last = path.at(-1)
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => String((key as { value?: unknown } | null)?.value) === String(last))
    return (pair?.key as { range?: readonly number[] } | undefined)?.range?.[0]
  }
  return (document.getIn(path, true) as { range?: readonly number[] } | undefined)?.range?.[0]
}

/** A server's refusal of an object from a manifest, with file and line of each field it names. */
export function explainRefusal(manifest: Manifest, err: unknown): UserError | undefined {
  if (!(err instanceof StatusError)) return undefined
  const where = (path: string): string => `${manifest.file}:${manifest.lineOf(path)}`
  const causes = (err.status.details?.causes ?? []).filter(({ field }) => field !== undefined && field !== '')
  const name = `${manifest.object.kind} "${manifest.object.metadata.name ?? manifest.object.metadata.generateName ?? ''}"`
  if (causes.length === 0) return new UserError(`error: ${fieldsIn(err.message, where) ?? `${where('')}: ${err.message}`}`)
  const lines = causes.map(({ field = '', message = '' }) => `  ${where(field)}: ${field}: ${message}`)
  return new UserError(`error: ${name} is refused:\n${lines.join('\n')}`)
}

/** A message that quotes a field path gets that field's line. */
function fieldsIn(message: string, where: (path: string) => string): string | undefined {
  const match = /unknown field "([^"]+)"|^(?:.*?: )?((?:spec|metadata|data|status)[\w.[\]/-]*):/.exec(message)
  const path = match?.[1] ?? match?.[2]
  return path === undefined ? undefined : `${where(path)}: ${message}`
}
