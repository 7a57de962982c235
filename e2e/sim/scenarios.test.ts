import { expect, test } from 'vitest'
import { runPlan } from './run.ts'
import { scenarios } from './scenarios.ts'

for (const [name, plans] of Object.entries(scenarios)) {
  test(name, { timeout: 240_000 }, async () => {
    for (const [index, plan] of plans.entries())
      expect((await runPlan(plan, { seed: index + 1 })).problem, `variant ${index}`).toBeUndefined()
  })
}
