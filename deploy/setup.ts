// Set-up: brings what Skiff needs onto a Debian machine. Steps are idempotent; `node deploy/setup.ts packages etcd` runs some.
import process from 'node:process'
import { installPackages } from './apt.ts'
import { ensureDocker } from './docker.ts'
import { installEtcd } from './etcd.ts'
import { type Say, step } from './steps.ts'

interface SetupStep {
  readonly title: string
  readonly work: (say: Say) => Promise<void>
}

const steps = {
  packages: { title: 'Debian packages', work: installPackages },
  etcd: { title: 'etcd', work: installEtcd },
  docker: { title: 'Docker Engine', work: ensureDocker },
} as const satisfies Record<string, SetupStep>

export type StepName = keyof typeof steps
const allSteps = Object.keys(steps) as readonly StepName[]

/** Runs the named steps, by default all, in their order. */
export async function setup(names: readonly StepName[] = allSteps): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('set-up needs root: it installs packages and talks to the Docker Engine')
  for (const name of allSteps.filter((name) => names.includes(name))) await step(steps[name].title, steps[name].work)
}

if (import.meta.main) {
  const unknown = process.argv.slice(2).filter((name) => !(name in steps))
  if (unknown.length > 0) throw new Error(`unknown step "${unknown.join(', ')}", want some of: ${allSteps.join(', ')}`)
  const names = allSteps.filter((name) => process.argv.includes(name))
  await setup(names.length === 0 ? allSteps : names)
}
