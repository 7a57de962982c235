// npm run sim -- --seeds N [--seed S] [--trace] [--calm]: runs the simulator over seeds, or one of them with its trace.
import process from 'node:process'
import { parseArgs } from 'node:util'
import { type Outcome, runSeed } from './run.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    calm: { type: 'boolean', default: false },
    keepGoing: { type: 'boolean', default: false },
  },
})

const first = numberOf(values.seed ?? '1', 'seed')
const count = values.seed !== undefined && !process.argv.includes('--seeds') ? 1 : numberOf(values.seeds, 'seeds')

function numberOf(text: string, name: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name}: "${text}" is not a whole number`)
  return value
}

const failed: Outcome[] = []
let virtualMs = 0
const startedMs = performance.now()
for (let seed = first; seed < first + count; seed++) {
  const outcome = await runSeed({
    seed,
    isFaultFree: values.calm,
    ...(values.trace ? { trace: (line) => console.log(line) } : {}),
  })
  virtualMs += outcome.virtualMs
  if (outcome.problem === undefined) continue
  failed.push(outcome)
  console.log(`seed ${seed}: ${outcome.problem}`)
  if (!values.keepGoing && failed.length >= 10) break
}
const seconds = (performance.now() - startedMs) / 1000
console.log(`${count} seeds, ${failed.length} failed; ${Math.round(virtualMs / 1000)} virtual seconds in ${seconds.toFixed(1)} s`)
process.exitCode = failed.length === 0 ? 0 : 1
