import { expect, test } from 'vitest'
import { runBadInputs } from './run.ts'

test('hundreds of mutated requests are answered rightly and at once, change nothing, and leave the server as it was', async () => {
  const { requests, codes, problems } = await runBadInputs({ count: 800, seed: 2026 })
  expect(problems).toEqual([])
  expect(requests).toBe(800)
  // Neither is everything refused, nor everything taken: the mutations reach beyond the first check.
  for (const code of ['200', '201', '400', '404', '409', '415', '422']) expect([code, codes[code] ?? 0]).not.toEqual([code, 0])
}, 60_000)
