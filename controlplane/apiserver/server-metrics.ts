import type { Metrics } from '../../lib/metrics.ts'

export interface ServerMetrics {
  answered(one: { readonly method: string; readonly code: number; readonly seconds: number }): void
  lasting(count: number): void
}

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'other']
const classes = ['2xx', '3xx', '4xx', '5xx', 'other']

export function serverMetrics(metrics: Metrics): ServerMetrics {
  const requests = metrics.counter('apiserver_requests_total', 'Requests answered', { method: methods, code: classes })
  const seconds = metrics.histogram('apiserver_request_seconds', 'Time until an answer was complete', {
    labels: { method: methods },
  })
  const streams = metrics.gauge('apiserver_streams', 'Watches, logs and execs that are open')
  return {
    answered({ method, code, seconds: took }) {
      const known = methods.includes(method) ? method : 'other'
      const ofCode = `${Math.floor(code / 100)}xx`
      requests.inc({ method: known, code: classes.includes(ofCode) ? ofCode : 'other' })
      seconds.observe(took, { method: known })
    },
    lasting: (count) => streams.set(count),
  }
}
