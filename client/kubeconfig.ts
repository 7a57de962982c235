import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { strangersYaml, tooMuchYaml, yamlProblem } from '../api/meta/yaml.ts'

/** How to reach a cluster, and as whom. Certificates and keys are PEM. */
export interface ClusterConfig {
  readonly server: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly token?: string
  readonly serverName?: string
  readonly insecureSkipVerify?: boolean
  readonly namespace?: string
  readonly context: string
}

class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError'
}

type Fields = Readonly<Record<string, unknown>>

/** Reads a kubeconfig. Its relative paths start at the folder of `file`. Errors name the file and the entry. */
export function parseKubeconfig(
  text: string,
  { file, context: wanted, readFile = readText }: { file: string; context?: string; readFile?: (path: string) => string },
): ClusterConfig {
  const fail = (why: string): never => {
    throw new KubeconfigError(`${file}: ${why}`)
  }
  const root = parseYaml(text, fail)
  const context = wanted ?? textOf(root['current-context'])
  if (context === undefined || context === '') return fail('current-context is not set; name a context')
  const chosen = entry(root, { list: 'contexts', item: 'context', name: context }, fail)
  const cluster = entry(root, { list: 'clusters', item: 'cluster', name: textOf(chosen['cluster']) ?? '' }, fail)
  const userName = textOf(chosen['user'])
  const user = userName === undefined || userName === '' ? {} : entry(root, { list: 'users', item: 'user', name: userName }, fail)
  for (const unsupported of ['exec', 'auth-provider', 'username']) {
    if (unsupported in user) fail(`users: "${userName}": ${unsupported} is not supported; use a client certificate or a token`)
  }
  const server = textOf(cluster['server'])
  if (server === undefined || !/^https?:\/\//.test(server) || !URL.canParse(server))
    return fail(`clusters: "${textOf(chosen['cluster'])}": server is no URL`)
  const pem = (fields: Fields, name: string): string | undefined => {
    const data = textOf(fields[`${name}-data`])
    if (data !== undefined && data !== '') return Buffer.from(data, 'base64').toString('utf8')
    const path = textOf(fields[name])
    if (path === undefined || path === '') return undefined
    try {
      return readFile(resolve(dirname(file), path))
    } catch (err) {
      return fail(`${name}: ${err instanceof Error ? err.message : String(err)}`)
    }
  }
  return withoutAbsent({
    server: server.replace(/\/+$/, ''),
    ca: pem(cluster, 'certificate-authority'),
    cert: pem(user, 'client-certificate'),
    key: pem(user, 'client-key'),
    token: textOf(user['token']) ?? pem(user, 'tokenFile')?.trim(),
    serverName: textOf(cluster['tls-server-name']),
    insecureSkipVerify: cluster['insecure-skip-tls-verify'] === true ? true : undefined,
    namespace: textOf(chosen['namespace']),
    context,
  })
}

type Optional<T> = { readonly [K in keyof T]: T[K] | undefined }

function withoutAbsent(config: Optional<ClusterConfig>): ClusterConfig {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined)) as unknown as ClusterConfig
}

const readText = (path: string): string => readFileSync(path, 'utf8')
const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

const bounds = { levels: 20, pieces: 200_000, aliased: 1_000_000 }

function parseYaml(text: string, fail: (why: string) => never): Fields {
  const wrong = tooMuchYaml(text, bounds)
  if (wrong !== undefined) return fail(`not a kubeconfig: ${wrong.message}`)
  const document = parseDocument(text, strangersYaml)
  const problem = yamlProblem(document)
  if (problem !== undefined) {
    const line = text.slice(0, problem.offset).split('\n').length
    return fail(`line ${line}: not YAML: ${problem.message.slice(0, 300)}`)
  }
  const root: unknown = document.toJS()
  return isFields(root) ? root : fail('is no kubeconfig')
}

function entry(
  root: Fields,
  { list, item, name }: { list: string; item: string; name: string },
  fail: (why: string) => never,
): Fields {
  const entries = root[list]
  const found: unknown = Array.isArray(entries) ? entries.find((one) => isFields(one) && one['name'] === name) : undefined
  if (!isFields(found)) return fail(`${list}: there is no entry "${name}"`)
  const value = found[item]
  return isFields(value) ? value : fail(`${list}: "${name}" has no ${item}`)
}
