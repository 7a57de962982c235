import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seededRandom } from '../../lib/random.ts'
import { type EngineFault, type PodBehaviour, PodWorld, type PodWorldOptions } from '../runtime/hollow/testing/pod-world.ts'
import type { ContainerState } from '../runtime/runtime.ts'
import type { Pod } from './pod-types.ts'
import { testPod } from './testing/doubles.ts'

interface Scenario {
  readonly policy: 'Always' | 'OnFailure' | 'Never'
  readonly app: readonly PodBehaviour[]
  readonly init: readonly PodBehaviour[]
  readonly faultRate: number
  readonly seed: number
  readonly actions: readonly Action[]
}

type Action = 'pass' | 'crashApp' | 'crashSandbox' | 'restartAgent' | 'powerOff' | 'gap' | 'removeImage'

const behaviour: fc.Arbitrary<PodBehaviour> = fc.oneof(
  fc.constant({}),
  fc.record({ exitAfterMs: fc.integer({ min: 1, max: 20_000 }), exitCode: fc.integer({ min: 0, max: 2 }) }),
  fc.record({ onTerm: fc.oneof(fc.constant('ignores' as const), fc.integer({ min: 1, max: 9000 })) }),
  fc.constant({ startError: 'exec: "nope": executable file not found in $PATH' }),
)

const scenario: fc.Arbitrary<Scenario> = fc.record({
  policy: fc.constantFrom('Always', 'OnFailure', 'Never'),
  app: fc.array(behaviour, { minLength: 1, maxLength: 2 }),
  init: fc.array(behaviour, { maxLength: 1 }),
  faultRate: fc.constantFrom(0, 0, 0.1, 0.3),
  seed: fc.integer(),
  actions: fc.array(
    fc.constantFrom<Action>('pass', 'pass', 'crashApp', 'crashSandbox', 'restartAgent', 'powerOff', 'gap', 'removeImage'),
    { maxLength: 8 },
  ),
})

/** Watches every state that the engine is ever in. */
class Watch {
  readonly #policy: Scenario['policy']
  readonly #ended = new Map<string, ContainerState>()
  readonly #highest = new Map<string, number>()
  readonly broken: string[] = []

  constructor(policy: Scenario['policy']) {
    this.#policy = policy
  }

  look(states: readonly ContainerState[]): void {
    const running = states.filter(({ status }) => status === 'running').map(({ identity }) => identity.container)
    for (const name of new Set(running)) {
      if (running.filter((one) => one === name).length > 1) this.broken.push(`two attempts of ${name} run`)
    }
    for (const state of states) this.#lookAt(state)
  }

  #lookAt(state: ContainerState): void {
    const { container, attempt, role } = state.identity
    if (role !== 'app') return
    const before = this.#ended.get(container)
    if (before !== undefined && attempt > before.identity.attempt && this.#isOver(before))
      this.broken.push(`${container} was run again under ${this.#policy} after exit ${before.exitCode}`)
    if (attempt < (this.#highest.get(container) ?? 0) && state.status === 'running')
      this.broken.push(`${container} went back to attempt ${attempt}`)
    this.#highest.set(container, Math.max(attempt, this.#highest.get(container) ?? 0))
    if (state.status === 'exited' && attempt >= (before?.identity.attempt ?? 0)) this.#ended.set(container, state)
  }

  #isOver({ exitCode }: ContainerState): boolean {
    return this.#policy === 'Never' || (this.#policy === 'OnFailure' && exitCode === 0)
  }
}

function podOf({ policy, app, init }: Scenario): Pod {
  return testPod({
    restartPolicy: policy,
    containers: app.map((_, index) => ({ name: `app-${index}`, image: 'web:1' })),
    initContainers: init.map((_, index) => ({ name: `init-${index}`, image: 'web:1' })),
  })
}

function optionsOf({ app, init, faultRate, seed }: Scenario): PodWorldOptions {
  const random = seededRandom(seed)
  const all = new Map<string, PodBehaviour>([
    ...app.map((one, index) => [`app-${index}`, one] as const),
    ...init.map((one, index) => [`init-${index}`, one] as const),
  ])
  const kinds: readonly EngineFault[] = ['fails', 'answerLost', 'hangs', 'hangsAfterEffect']
  return {
    script: ({ identity }) => all.get(identity.container) ?? {},
    faults: () => (random.next() < faultRate ? kinds[Math.floor(random.next() * kinds.length)] : undefined),
  }
}

async function act(world: PodWorld, action: Action): Promise<void> {
  const states = await listWithoutFaults(world)
  const find = (role: string) => states.find(({ identity, status }) => identity.role === role && status === 'running')?.id
  if (action === 'restartAgent' || action === 'powerOff') {
    await world.stop()
    if (action === 'powerOff') world.runtime.powerOff()
    await world.start()
  }
  const victim = action === 'crashApp' ? find('app') : action === 'crashSandbox' ? find('sandbox') : undefined
  if (victim !== undefined) world.runtime.crash(victim)
  if (action === 'gap') world.runtime.gap()
  if (action === 'removeImage') world.runtime.removeImage('web:1')
}

async function listWithoutFaults(world: PodWorld): Promise<readonly ContainerState[]> {
  const { options } = world.runtime
  const { faults: _faults, ...calm } = options
  world.runtime.options = calm
  const states = await world.all()
  world.runtime.options = options
  return states
}

async function passWatched(world: PodWorld, watch: Watch, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    await world.pass(500)
    watch.look(await listWithoutFaults(world))
  }
}

test('whatever containers and engine do: one attempt at a time, the restart policy holds, and a deleted pod leaves nothing', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async (one) => {
      const world = new PodWorld(optionsOf(one))
      const watch = new Watch(one.policy)
      const pod = podOf(one)
      world.desired.put(pod)
      await world.start()
      try {
        for (const action of one.actions) {
          await act(world, action)
          await passWatched(world, watch, 4000)
        }
        const { faults: _faults, ...calm } = world.runtime.options
        world.runtime.options = calm
        const metadata = { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 5 }
        world.desired.put({ ...pod, metadata })
        await world.pass(300_000, 10_000)
        expect(watch.broken).toEqual([])
        expect(await world.all()).toEqual([])
        expect(world.sandboxes.wired.size + world.volumes.folders.size).toBe(0)
        expect(world.reporter.statuses.at(-1)?.terminated).toBe(true)
        expect(world.reporter.statuses.filter(({ terminated }) => terminated).length).toBe(1)
      } finally {
        await world.stop()
      }
    }),
    { numRuns: 100 },
  )
})
