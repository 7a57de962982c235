import { request } from 'node:https'
import type { AbortOptions } from '../../lib/async.ts'

export interface ProbeTls {
  /** PEM texts. */
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Asks etcd whether it can serve; rejects with what it says, or with what kept it from saying anything. */
export async function probeEtcd(endpoint: string, { ca, cert, key, signal }: ProbeTls & AbortOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const call = request(`${endpoint}/health`, { ca, cert, key, signal, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        if (body.length < 1000) body += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode === 200 && body.includes('"true"')) resolve()
        else reject(new Error(`etcd answers ${response.statusCode}: ${body}`))
      })
    })
    call.on('error', reject)
    call.end()
  })
}
