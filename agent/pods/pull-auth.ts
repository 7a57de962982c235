import type { RegistryAuth } from '../runtime/runtime.ts'
import type { Configs } from './env.ts'
import { namespaceOf, type Pod } from './pod-types.ts'

const dockerHub = 'https://index.docker.io/v1/'

/** Host of an image's registry, as in `registry.example:5000`; Docker Hub's when the reference names none. */
export function registryOf(image: string): string {
  const slash = image.indexOf('/')
  const first = slash < 0 ? '' : image.slice(0, slash)
  return first.includes('.') || first.includes(':') || first === 'localhost' ? first : 'docker.io'
}

/** The login for an image out of the pod's imagePullSecrets: the first that names its registry. */
export function pullAuth(pod: Pod, image: string, configs: Configs): RegistryAuth | undefined {
  const registry = registryOf(image)
  for (const { name = '' } of pod.spec.imagePullSecrets ?? []) {
    const data = configs.secret(namespaceOf(pod), name)?.data
    const login = loginIn(data, registry)
    if (login !== undefined) return login
  }
  return undefined
}

function loginIn(data: Readonly<Record<string, string>> | undefined, registry: string): RegistryAuth | undefined {
  const full = parse(data?.['.dockerconfigjson'])
  const logins = full === undefined ? parse(data?.['.dockercfg']) : record(full['auths'])
  for (const [server, value] of Object.entries(logins ?? {})) {
    if (hostOf(server) !== registry) continue
    const login = loginOf(record(value))
    if (login !== undefined) return { ...login, serverAddress: registry === 'docker.io' ? dockerHub : registry }
  }
  return undefined
}

function loginOf(entry: Readonly<Record<string, unknown>> | undefined): { username: string; password: string } | undefined {
  if (entry === undefined) return undefined
  const { username, password, auth } = entry
  if (typeof username === 'string' && typeof password === 'string' && username !== '') return { username, password }
  if (typeof auth !== 'string') return undefined
  const text = Buffer.from(auth, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon <= 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** `https://index.docker.io/v1/`, `docker.io` and `registry.example:5000/v2` by host. */
function hostOf(server: string): string {
  const host = server.replace(/^https?:\/\//, '').split('/', 1)[0] ?? ''
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host
}

/** A secret that can't be read is no login: the pull then says that it was refused. */
function parse(base64: string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (base64 === undefined) return undefined
  try {
    return record(JSON.parse(Buffer.from(base64, 'base64').toString('utf8')))
  } catch {
    return undefined
  }
}

const record = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
