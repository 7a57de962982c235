import type { NodeFacts } from '../contracts.ts'
import { type Configs, containerNamed } from '../pods/env.ts'
import { fieldValue } from '../pods/field-ref.ts'
import { namespaceOf, type Pod, type Volume } from '../pods/pod-types.ts'
import { resourceField } from '../resources/limits.ts'
import { relativeParts } from './folders.ts'

export interface PayloadFile {
  readonly data: Uint8Array
  readonly mode: number
}

/** Files by their normalised relative path. */
export type Payload = ReadonlyMap<string, PayloadFile>

export interface PayloadFacts {
  readonly pod: Pod
  readonly node: NodeFacts
  readonly configs: Configs
}

/** What is missing or wrong, without the volume's name. */
export class PayloadError extends Error {
  override readonly name = 'PayloadError'
}

const fallbackMode = 0o644

type Projected = NonNullable<Volume['projected']>
type ProjectedSource = NonNullable<Projected['sources']>[number]
type DownwardItems = NonNullable<NonNullable<Volume['downwardAPI']>['items']>

/** The files of a configMap, secret, downwardAPI or projected volume; undefined for other volumes. Pure. */
export function payloadOf(volume: Volume, facts: PayloadFacts): Payload | undefined {
  const { configMap, secret, downwardAPI, projected } = volume
  if (configMap !== undefined) return configMapFiles(configMap, configMap.defaultMode ?? fallbackMode, facts)
  if (secret !== undefined) {
    const { secretName, ...rest } = secret
    return secretFiles(
      { ...rest, ...(secretName === undefined ? {} : { name: secretName }) },
      secret.defaultMode ?? fallbackMode,
      facts,
    )
  }
  if (downwardAPI !== undefined) return downwardFiles(downwardAPI.items ?? [], downwardAPI.defaultMode ?? fallbackMode, facts)
  return projected === undefined ? undefined : projectedFiles(projected, facts)
}

function projectedFiles({ sources = [], defaultMode = fallbackMode }: Projected, facts: PayloadFacts): Payload {
  const files = new Map<string, PayloadFile>()
  for (const source of sources) {
    for (const [path, file] of sourceFiles(source, defaultMode, facts)) files.set(path, file)
  }
  checkTree(files)
  return files
}

function sourceFiles(source: ProjectedSource, mode: number, facts: PayloadFacts): Payload {
  if (source.configMap !== undefined) return configMapFiles(source.configMap, mode, facts)
  if (source.secret !== undefined) return secretFiles(source.secret, mode, facts)
  if (source.downwardAPI !== undefined) return downwardFiles(source.downwardAPI.items ?? [], mode, facts)
  throw new PayloadError('a projected source of this kind is not supported')
}

interface KeySource {
  readonly name?: string
  readonly optional?: boolean
  readonly items?: readonly { readonly key: string; readonly path: string; readonly mode?: number }[]
}

function configMapFiles(source: KeySource, mode: number, { pod, configs }: PayloadFacts): Payload {
  const { name = '', optional = false } = source
  const found = configs.configMap(namespaceOf(pod), name)
  if (found === undefined && !optional) throw new PayloadError(`configmap "${name}" not found`)
  const data = new Map<string, Uint8Array>()
  for (const [key, text] of Object.entries(found?.data ?? {})) data.set(key, Buffer.from(text, 'utf8'))
  for (const [key, base64] of Object.entries(found?.binaryData ?? {})) data.set(key, Buffer.from(base64, 'base64'))
  return keyFiles(data, source, mode, 'config')
}

function secretFiles(source: KeySource, mode: number, { pod, configs }: PayloadFacts): Payload {
  const { name = '', optional = false } = source
  const found = configs.secret(namespaceOf(pod), name)
  if (found === undefined && !optional) throw new PayloadError(`secret "${name}" not found`)
  const entries = Object.entries(found?.data ?? {}).map(([key, base64]) => [key, Buffer.from(base64, 'base64')] as const)
  return keyFiles(new Map<string, Uint8Array>(entries), source, mode, 'secret')
}

function keyFiles(
  data: ReadonlyMap<string, Uint8Array>,
  { items, optional = false }: KeySource,
  mode: number,
  what: string,
): Payload {
  const files = new Map<string, PayloadFile>()
  if (items === undefined || items.length === 0) {
    for (const [key, bytes] of data) files.set(pathOf(key), { data: bytes, mode })
    return files
  }
  for (const item of items) {
    const bytes = data.get(item.key)
    if (bytes !== undefined) files.set(pathOf(item.path), { data: bytes, mode: item.mode ?? mode })
    else if (!optional) throw new PayloadError(`references non-existent ${what} key: ${item.key}`)
  }
  checkTree(files)
  return files
}

function downwardFiles(items: DownwardItems, mode: number, facts: PayloadFacts): Payload {
  const files = new Map<string, PayloadFile>()
  for (const item of items) {
    const text = downwardText(item, facts)
    if (text === undefined) throw new PayloadError(`the field for "${item.path}" can't be read`)
    files.set(pathOf(item.path), { data: Buffer.from(text, 'utf8'), mode: item.mode ?? mode })
  }
  checkTree(files)
  return files
}

function downwardText({ fieldRef, resourceFieldRef }: DownwardItems[number], { pod, node }: PayloadFacts): string | undefined {
  if (fieldRef !== undefined) return fieldValue(fieldRef.fieldPath, { pod, node, podIp: undefined })
  if (resourceFieldRef === undefined) return undefined
  const container = containerNamed(pod, resourceFieldRef.containerName ?? '')
  return container === undefined ? undefined : resourceField(container, resourceFieldRef, node)
}

/** Names with two leading dots are the writer's own. */
function pathOf(path: string): string {
  const parts = relativeParts(path)
  if (parts === undefined || parts.some((part) => part.startsWith('..') || part.length > 255))
    throw new PayloadError(`"${path}" can't be the path of a file in a volume`)
  return parts.join('/')
}

/** A path can't be a file and a folder at a time. */
function checkTree(files: ReadonlyMap<string, PayloadFile>): void {
  for (const path of files.keys()) {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      if (files.has(path.slice(0, at))) throw new PayloadError(`"${path.slice(0, at)}" would be a file and a folder`)
    }
  }
}
