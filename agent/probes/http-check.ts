import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { AbortOptions } from '../../lib/async.ts'
import type { Probe } from '../pods/pod-types.ts'

export type HttpGet = NonNullable<Probe['httpGet']>

export interface CheckPlace {
  readonly podIp: string
  readonly ports: ReadonlyMap<string, number>
}

export interface CheckResult {
  readonly isOk: boolean
  /** Why not; empty when it is. */
  readonly message: string
}

const maxBodyBytes = 10 * 1024
/** To the same host only, as one that asks to be probed elsewhere could use the agent as its messenger. */
const maxRedirects = 10

export const failed = (message: string): CheckResult => ({ isOk: false, message })
export const passed: CheckResult = { isOk: true, message: '' }

/** A GET that counts 200 to 399 as success. Certificates are not verified (Kubernetes does the same). */
export async function httpCheck(get: HttpGet, place: CheckPlace, opts: AbortOptions): Promise<CheckResult> {
  const port = portOf(get.port, place.ports)
  if (port === undefined) return failed(`couldn't find port "${get.port}"`)
  const scheme = get.scheme === 'HTTPS' ? 'https' : 'http'
  let url = urlOf(scheme, get.host ?? place.podIp, port, get.path ?? '/')
  if (url === undefined) return failed(`can't make a URL of host "${get.host ?? place.podIp}" and path "${get.path ?? '/'}"`)
  for (let hops = 0; hops <= maxRedirects; hops++) {
    let answer: Answer
    try {
      answer = await ask(url, get, opts)
    } catch (err) {
      opts.signal.throwIfAborted()
      return failed(`Get "${url.href}": ${err instanceof Error ? err.message : String(err)}`)
    }
    const next: URL | undefined = redirect(answer, url)
    if (next === undefined) return verdict(answer.status)
    url = next
  }
  return failed(`stopped after ${maxRedirects} redirects`)
}

const verdict = (status: number): CheckResult =>
  status >= 200 && status < 400 ? passed : failed(`HTTP probe failed with statuscode: ${status}`)

/** Number of a probe's port, which may be a name of one of the container's. */
export function portOf(port: number | string, ports: ReadonlyMap<string, number>): number | undefined {
  const number = typeof port === 'number' ? port : (ports.get(port) ?? (/^\d{1,5}$/.test(port) ? Number(port) : undefined))
  return number !== undefined && number >= 1 && number <= 65_535 ? number : undefined
}

function urlOf(scheme: string, host: string, port: number, path: string): URL | undefined {
  const name = host.includes(':') ? `[${host}]` : host
  const base = `${scheme}://${name}:${port}`
  return URL.canParse(base) && URL.canParse(`${base}${path.startsWith('/') ? '' : '/'}${path}`)
    ? new URL(`${base}${path.startsWith('/') ? '' : '/'}${path}`)
    : undefined
}

interface Answer {
  readonly status: number
  readonly location: string | undefined
}

/** A redirect that stays with the host; one that leaves it is taken for the success it is. */
function redirect({ status, location }: Answer, from: URL): URL | undefined {
  if (status < 300 || status >= 400 || location === undefined || !URL.canParse(location, from.href)) return undefined
  const to = new URL(location, from.href)
  return to.hostname === from.hostname && (to.protocol === 'http:' || to.protocol === 'https:') ? to : undefined
}

function ask(url: URL, get: HttpGet, { signal }: AbortOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const headers = headersOf(get)
    // No agent: a probe shall open its own connection, as a first visitor would.
    const sent = send(url, { headers, agent: false, signal, rejectUnauthorized: false, setHost: headers['host'] === undefined })
    sent.on('error', reject)
    sent.on('response', (response: IncomingMessage) => {
      const status = response.statusCode ?? 0
      readBody(response).then(() => resolve({ status, location: response.headers.location }), reject)
    })
    sent.end()
  })
}

/** To the end of a small body, so that one that drips is within the probe's time, too; a large one is cut off. */
async function readBody(response: IncomingMessage): Promise<void> {
  let size = 0
  for await (const chunk of response) {
    size += chunk.length
    if (size > maxBodyBytes) break // Leaving the loop closes the connection.
  }
}

function headersOf({ httpHeaders = [] }: HttpGet): Readonly<Record<string, string | string[]>> {
  const headers: Record<string, string | string[]> = { 'user-agent': 'kube-probe/skiff', accept: '*/*', connection: 'close' }
  for (const { name, value } of httpHeaders) {
    const key = name.toLowerCase()
    const before = headers[key]
    const isOurs = key === 'user-agent' || key === 'accept' || key === 'connection'
    headers[key] = before === undefined || isOurs || key === 'host' ? value : [before, value].flat()
  }
  return headers
}
