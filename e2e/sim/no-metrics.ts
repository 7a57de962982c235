import type { Metrics } from '../../lib/metrics.ts'

/** Counts nothing: thousands of processes are made in one run. */
export const noMetrics: Metrics = {
  counter: () => ({ inc: () => undefined }),
  gauge: () => ({ set: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
  onRender: () => undefined,
  render: async () => ({ contentType: 'text/plain', body: '' }),
}
