import { request as httpsRequest } from 'node:https'
import type { ServedWorld } from './served-world.ts'

export interface Answer {
  readonly code: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export interface AskOptions {
  readonly method?: string
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
  readonly anonymous?: boolean
  readonly as?: { readonly cert: string; readonly key: string }
}

/** One request over HTTP/1.1, as the administrator unless another pair of certificate and key is given. */
export function ask(
  served: ServedWorld,
  path: string,
  { method = 'GET', body, headers = {}, anonymous = false, as = served.admin }: AskOptions = {},
): Promise<Answer> {
  // Node frames the body of a DELETE only when it is told the length.
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
  const pair = anonymous ? {} : { cert: as.cert, key: as.key }
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      served.url,
      // Not in the address: that would tidy up dots and slashes.
      { path, method, headers: { ...length, ...headers }, ca: served.ca, agent: false, ...pair },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ code: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() }),
        )
        response.on('error', reject)
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}
