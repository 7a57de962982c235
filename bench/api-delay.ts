// Loaded into the control plane by bench/api.ts (`node --import`): tells its parent how late the event loop was since it
// was asked last. The program's own figure is of ten seconds, and only of busy ones.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import process from 'node:process'

const histogram = monitorEventLoopDelay({ resolution: 5 })
histogram.enable()
process.on('message', () => {
  const ms = (percentile: number): number => histogram.percentile(percentile) / 1e6
  process.send?.({ p50: ms(50), p99: ms(99) })
  histogram.reset()
})
// It must not keep the program from ending.
process.channel?.unref()
