// Preloaded into a program that is measured: tells its parent, when asked, how late its event loop was since it was last asked.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import process from 'node:process'

const everyMs = 10
const histogram = monitorEventLoopDelay({ resolution: everyMs })
histogram.enable()

process.on('message', (message) => {
  if (message !== 'delay') return
  // What is recorded is the time between two looks, of which the first part is meant.
  const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - everyMs)
  process.send?.({ p50: late(histogram.percentile(50)), p99: late(histogram.percentile(99)), max: late(histogram.max) })
  histogram.reset()
})
process.channel?.unref()
