import { monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isAbort, sleep } from './async.ts'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Service } from './service.ts'

/** What the process looks like; replaced in tests. */
export interface ProcessView {
  /** Share of the time since the last call in which the event loop was busy, 0 to 1. */
  busy(): number
  heapBytes(): number
  /** Collects all garbage and gives the memory back to the system. */
  collect(): void
}

export interface UpkeepOptions {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly view?: ProcessView
  /** What measures how late timers fire, while the process is busy. */
  readonly delays?: Pick<ReturnType<typeof monitorEventLoopDelay>, 'enable' | 'disable' | 'reset' | 'percentile'>
}

const lookMs = 2_000
/** Below it, that many looks in a row, the process is taken for idle: a pause now is in nobody's way. */
const idleShare = 0.05
const idleLooks = 5
/** Above it somebody wants to know how late things are. */
const busyShare = 0.1
const quantiles = { '0.5': 50, '0.99': 99 }
const growthBytes = 3 * 1024 ** 2
/** The process stands still meanwhile: above this for so long that whoever comes just then would feel it. */
const maxHeapBytes = 96 * 1024 ** 2

/**
 * What a process does with itself: an idle one gives back the memory that a busy time left behind (V8 by itself keeps
 * it), and only a busy one is woken to measure the delay of its event loop.
 */
export function processUpkeep({ clock, log, metrics, view = thisProcess(), delays }: UpkeepOptions): Service {
  const histogram = delays ?? monitorEventLoopDelay({ resolution: 10 })
  const busyGauge = metrics.gauge('event_loop_busy_ratio', 'Share of the last two seconds in which the event loop was busy')
  const delayGauge = metrics.gauge(
    'event_loop_delay_seconds',
    'Time between two turns of a timer of 10 ms, since this was asked for last; measured while the process is busy, else 0',
    { quantile: Object.keys(quantiles) },
  )
  metrics.onRender(() => {
    for (const [quantile, percent] of Object.entries(quantiles)) delayGauge.set(histogram.percentile(percent) / 1e9, { quantile })
    histogram.reset()
  })
  let heldBytes = 0
  let looksIdle = 0
  const look = (): void => {
    const busy = view.busy()
    busyGauge.set(busy)
    if (busy > busyShare) histogram.enable()
    else histogram.disable()
    // What is in use may have become less since.
    heldBytes = Math.min(heldBytes, view.heapBytes())
    looksIdle = busy < idleShare ? looksIdle + 1 : 0
    if (looksIdle >= idleLooks && isWorthIt(view.heapBytes(), heldBytes)) heldBytes = collect(view, { clock, log })
  }
  return {
    name: 'process-upkeep',
    async run(signal) {
      try {
        for (;;) {
          await sleep(clock, lookMs, signal)
          look()
        }
      } catch (err) {
        if (!isAbort(err, signal)) throw err
      } finally {
        histogram.disable()
      }
    },
  }
}

const isWorthIt = (heapBytes: number, heldBytes: number): boolean =>
  heapBytes <= maxHeapBytes && heapBytes > heldBytes + growthBytes

function collect(view: ProcessView, { clock, log }: Pick<UpkeepOptions, 'clock' | 'log'>): number {
  const startedMs = clock.monotonicMs()
  const beforeBytes = view.heapBytes()
  view.collect()
  const heldBytes = view.heapBytes()
  log.debug('memory given back', { beforeBytes, heldBytes, tookMs: Math.round(clock.monotonicMs() - startedMs) })
  return heldBytes
}

function thisProcess(): ProcessView {
  let last = performance.eventLoopUtilization()
  let gc: Collect | undefined
  return {
    busy: () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, last)
      last = now
      return utilization
    },
    heapBytes: () => getHeapStatistics().total_heap_size,
    collect: () => {
      gc ??= collector()
      gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    },
  }
}

type Collect = (options: { readonly type: 'major'; readonly execution: 'sync'; readonly flavor: 'last-resort' }) => void

/** Without a flag on the command line, which whoever starts the program would have to know. */
function collector(): Collect {
  setFlagsFromString('--expose-gc')
  const gc: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  // V8's own function; there is no type to check it against.
  return typeof gc === 'function' ? (gc as Collect) : () => undefined
}
