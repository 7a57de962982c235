import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Every series exists from the start, at zero: `labels` lists each label's values. An unbounded label is a bug. */
type Labels = Readonly<Record<string, readonly string[]>>

interface CounterHandle {
  inc(labels?: Readonly<Record<string, string>>, by?: number): void
}
interface GaugeHandle {
  set(value: number, labels?: Readonly<Record<string, string>>): void
}
interface HistogramHandle {
  /** Seconds for durations, bytes for sizes. */
  observe(value: number, labels?: Readonly<Record<string, string>>): void
}

/** The metrics of one process, in the Prometheus text format. */
export interface Metrics {
  counter(name: string, help: string, labels?: Labels): CounterHandle
  gauge(name: string, help: string, labels?: Labels): GaugeHandle
  histogram(name: string, help: string, options?: { labels?: Labels; buckets?: readonly number[] }): HistogramHandle
  /** Calls `update` before each rendering, for what is only worth reading when somebody asks. */
  onRender(update: () => void): void
  render(): Promise<{ contentType: string; body: string }>
}

const secondsBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

/** `prefix` is put before every name, as in `skiff_`. */
export function createMetrics(prefix: string, { process = false }: { process?: boolean } = {}): Metrics {
  const registry = new Registry()
  const updates: (() => void)[] = []
  if (process) collectProcessMetrics(registry)
  return {
    counter(name, help, labels = {}) {
      const counter = new Counter({ name: prefix + name, help, labelNames: Object.keys(labels), registers: [registry] })
      for (const combination of combinations(labels)) counter.inc(combination, 0)
      return { inc: (values = {}, by = 1) => counter.inc(values, by) }
    },
    gauge(name, help, labels = {}) {
      const gauge = new Gauge({ name: prefix + name, help, labelNames: Object.keys(labels), registers: [registry] })
      for (const combination of combinations(labels)) gauge.set(combination, 0)
      return { set: (value, values = {}) => gauge.set(values, value) }
    },
    histogram(name, help, { labels = {}, buckets = secondsBuckets } = {}) {
      const names = Object.keys(labels)
      const histogram = new Histogram({
        name: prefix + name,
        help,
        labelNames: names,
        buckets: [...buckets],
        registers: [registry],
      })
      for (const combination of combinations(labels)) histogram.zero(combination)
      return { observe: (value, values = {}) => histogram.observe(values, value) }
    },
    onRender(update) {
      updates.push(update)
    },
    async render() {
      for (const update of updates) update()
      return { contentType: registry.contentType, body: await registry.metrics() }
    },
  }
}

/**
 * Those of its event loop's delay wake the process a hundred times a second, used or not; `processUpkeep` has others.
 * Those of what is open go through all of it each time: with a thousand connections a quarter of a busy process's time.
 */
function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 2 ** 31 - 1 })
  for (const what of ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'])
    registry.removeSingleMetric(`nodejs_eventloop_lag_${what}_seconds`)
  registry.removeSingleMetric('process_open_fds')
  for (const what of ['handles', 'requests', 'resources'])
    for (const end of ['', '_total']) registry.removeSingleMetric(`nodejs_active_${what}${end}`)
}

function combinations(labels: Labels): Record<string, string>[] {
  let all: Record<string, string>[] = [{}]
  for (const [name, values] of Object.entries(labels)) {
    all = all.flatMap((one) => values.map((value) => ({ ...one, [name]: value })))
  }
  return all
}
