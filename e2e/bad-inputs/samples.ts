import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { kindOf, kinds } from '../../api/kinds/registry.ts'
import type { ApiObject } from '../../api/meta/object-meta.ts'
import { manifestYaml } from '../../api/meta/yaml.ts'
import { builders } from '../../api/testing/builders.ts'
import { must } from '../../lib/assert.ts'
import type { Sample } from './requests.ts'

const manifests = join(import.meta.dirname, '..', '..', 'manifests')

/** Valid objects of every kind, each with a name of its own: from the builders, and everything in manifests/. */
export async function allSamples(): Promise<readonly Sample[]> {
  const built = kinds.map((kind) => must(builders[kind.kind], `builders has a ${kind.kind}`)())
  const files = (await readdir(manifests)).filter((file) => file.endsWith('.yaml')).sort()
  const texts = await Promise.all(files.map((file) => readFile(join(manifests, file), 'utf8')))
  const written = texts.flatMap((text) => {
    const documents = parseAllDocuments(text, manifestYaml)
    return Array.isArray(documents) ? documents.map((document) => document.toJS() as ApiObject) : []
  })
  return [...built, ...written].map(sampleOf)
}

function sampleOf(object: ApiObject, index: number): Sample {
  const kind = must(kindOf(object.apiVersion, object.kind), `${object.kind} is a kind`)
  const { uid: _, creationTimestamp: __, resourceVersion: ___, ...given } = object.metadata
  const name = `bad-${index}`
  const namespace = kind.scope === 'Namespaced' ? 'default' : undefined
  const metadata = { ...given, name, ...(namespace === undefined ? {} : { namespace }) }
  return { kind, name, namespace, body: withoutAddresses({ ...object, metadata }) }
}

/** What only one object can have: fixed ports and addresses of a Service. */
function withoutAddresses(object: ApiObject): Readonly<Record<string, unknown>> {
  const { spec, ...rest } = object as unknown as { readonly spec?: Readonly<Record<string, unknown>> }
  if (spec === undefined || object.kind !== 'Service') return object as unknown as Readonly<Record<string, unknown>>
  const { clusterIP: _, clusterIPs: __, ports, ...kept } = spec
  const free = Array.isArray(ports) ? ports.map(({ nodePort: ___, ...port }: Readonly<Record<string, unknown>>) => port) : ports
  return { ...rest, spec: { ...kept, ports: free } }
}
