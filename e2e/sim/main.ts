// npm run sim: runs the simulator over many seeds in several processes, or one seed with its trace.
//   --seeds N    how many (100)           --from S     the first one (1)
//   --jobs J     processes at a time (one a core)
//   --keepGoing  do not stop after ten failures      --plant NAME  with a bug of plants.ts
//   --compare    each seed without faults too: what somebody named comes and goes as often
//   --seed S     this one alone, here     --trace      with everything that happens     --calm  without faults
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { runBatch, type Summary } from './batch.ts'
import { runSeed } from './run.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    keepGoing: { type: 'boolean', default: false },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    calm: { type: 'boolean', default: false },
    compare: { type: 'boolean', default: false },
    plant: { type: 'string' },
  },
})

function numberOf(name: 'seeds' | 'from' | 'jobs' | 'seed'): number {
  const value = Number(values[name])
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name}: "${values[name]}" is not a whole number`)
  return value
}

async function runOne(): Promise<boolean> {
  const outcome = await runSeed({
    seed: numberOf('seed'),
    isFaultFree: values.calm,
    ...(values.trace ? { trace: (line) => console.log(line) } : {}),
  })
  console.log(
    `${outcome.problem ?? 'all was well'}; ${Math.round(outcome.virtualMs / 1000)} virtual seconds, hash ${outcome.hash}`,
  )
  return outcome.problem === undefined
}

async function runMany(): Promise<boolean> {
  const startedMs = performance.now()
  const summary = await runBatch({
    first: numberOf('from'),
    count: numberOf('seeds'),
    jobs: Math.max(1, numberOf('jobs')),
    isFaultFree: values.calm,
    isCompared: values.compare,
    ...(values.plant === undefined ? {} : { plant: values.plant }),
    mostFailures: values.keepGoing ? Infinity : 10,
    say: (line) => console.log(line),
  })
  printSummary(summary, (performance.now() - startedMs) / 1000)
  return summary.failures.length === 0
}

function printSummary({ done, failures, faults, digest, virtualMs, cpuMs, mostRssBytes }: Summary, seconds: number): void {
  const kinds = [...faults].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `${kind} ${count}`)
  console.log(`faults: ${kinds.join(', ')}`)
  for (const { seed, problem } of failures) console.log(`seed ${seed}: ${problem}`)
  console.log(
    `${done} seeds, ${failures.length} failed; ${Math.round(virtualMs / 1000)} virtual seconds in ${seconds.toFixed(1)} s, ` +
      `${(cpuMs / Math.max(1, done)).toFixed(1)} ms of processor a seed, at most ${Math.round(mostRssBytes / 2 ** 20)} MiB a process`,
  )
  // Over all that happened in all seeds: another run of the same seeds gives the same.
  console.log(`digest ${digest}`)
}

const isWell = values.seed === undefined ? await runMany() : await runOne()
process.exitCode = isWell ? 0 : 1
