// node --expose-gc e2e/bad-inputs/main.ts [--count 10000] [--seed 1] [--only N]: bad requests against a live API server.
import process from 'node:process'
import { parseArgs } from 'node:util'
import { runBadInputs } from './run.ts'

const { values } = parseArgs({
  options: { count: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' }, only: { type: 'string' } },
})

const started = performance.now()
const figures = await runBadInputs({
  count: Number(values.count),
  seed: Number(values.seed),
  ...(values.only === undefined ? {} : { only: Number(values.only) }),
})
const { requests, codes, median, slowest, heap, problems } = figures
for (const problem of problems) console.log(problem)
console.log(`${requests} bad requests in ${((performance.now() - started) / 1000).toFixed(0)} s, ${problems.length} problems`)
console.log(
  `answers: ${Object.entries(codes)
    .map(([code, count]) => `${code}: ${count}`)
    .join(', ')}`,
)
console.log(`median ${median.toFixed(1)} ms, slowest ${slowest.ms.toFixed(0)} ms (${slowest.what.slice(0, 100)})`)
console.log(
  heap.length === 0
    ? 'heap: not measured without --expose-gc'
    : `heap after each tenth: ${heap.map((mib) => mib.toFixed(0)).join(', ')} MiB`,
)
process.exitCode = problems.length === 0 ? 0 : 1
