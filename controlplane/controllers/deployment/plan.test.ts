import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Deployment } from '../../../api/kinds/deployment.ts'
import type { ReplicaSet } from '../../../api/kinds/replica-set.ts'
import { limitsOf } from './limits.ts'
import { type DeploymentPlan, planDeployment } from './plan.ts'

interface Shape {
  readonly replicas?: number
  readonly maxSurge?: number | string
  readonly maxUnavailable?: number | string
  readonly type?: 'Recreate' | 'RollingUpdate'
  readonly image?: string
  readonly paused?: boolean
}

function deploymentOf({
  replicas = 3,
  maxSurge = '25%',
  maxUnavailable = '25%',
  type = 'RollingUpdate',
  image = 'a',
  paused,
}: Shape): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'x', uid: 'd', generation: 1 },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      strategy: type === 'Recreate' ? { type } : { type, rollingUpdate: { maxSurge, maxUnavailable } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } },
      progressDeadlineSeconds: 600,
      ...(paused === undefined ? {} : { paused }),
    },
  } as Deployment
}

/** A cluster of one Deployment: its sets as the plans leave them, and pods that become ready as the test says. */
class World {
  deployment: Deployment
  sets: ReplicaSet[] = []
  nowMs = Date.UTC(2026, 0, 1)
  #made = 0

  constructor(deployment: Deployment) {
    this.deployment = deployment
  }

  step(): DeploymentPlan {
    const { deployment, sets, nowMs } = this
    const hasOldPods = (newSet: ReplicaSet | undefined) => sets.some((one) => one !== newSet && (one.status?.replicas ?? 0) > 0)
    const plan = planDeployment({ deployment, replicaSets: sets, hasOldPods, nowMs })
    for (const { replicaSet, replicas, annotations } of plan.change) {
      const changed = { ...replicaSet, metadata: { ...replicaSet.metadata, annotations }, spec: { ...replicaSet.spec, replicas } }
      this.sets = this.sets.map((one) => (one === replicaSet ? changed : one))
    }
    if (plan.create !== undefined) {
      const creationTimestamp = new Date(this.nowMs + this.#made++ * 1000).toISOString()
      const metadata = { ...plan.create.metadata, uid: `s${this.#made}`, creationTimestamp, generation: 1 }
      this.sets = [...this.sets, { ...plan.create, metadata, status: { replicas: 0 } }]
    }
    this.sets = this.sets.filter((one) => !plan.forget.some((gone) => gone.metadata.name === one.metadata.name))
    this.deployment = { ...deployment, status: plan.status }
    return plan
  }

  /** The ReplicaSet controller and the nodes: pods as wanted, `ready` of them ready. */
  settle(ready: (wanted: number, index: number) => number): void {
    this.sets = this.sets.map((one, index) => {
      const wanted = one.spec.replicas ?? 0
      const count = Math.min(wanted, ready(wanted, index))
      const status = { replicas: wanted, readyReplicas: count, availableReplicas: count, observedGeneration: 1 }
      return { ...one, status }
    })
  }

  roll(steps = 100): void {
    for (let i = 0; i < steps; i++) {
      this.step()
      this.settle((wanted) => wanted)
    }
  }

  get replicas(): readonly number[] {
    return this.sets.map((one) => one.spec.replicas ?? 0)
  }

  get condition(): string | undefined {
    return this.deployment.status?.conditions?.find((one) => one.type === 'Progressing')?.reason
  }

  change(shape: Shape): void {
    const { status } = this.deployment
    this.deployment = { ...deploymentOf(shape), ...(status === undefined ? {} : { status }) }
  }
}

const count = fc.oneof(
  fc.integer({ min: 0, max: 4 }),
  fc.integer({ min: 0, max: 100 }).map((percent) => `${percent}%`),
)
const shape = fc.record({ replicas: fc.integer({ min: 0, max: 12 }), maxSurge: count, maxUnavailable: count })

test('a rolling update never has more pods than its surge, nor by its own doing fewer available ones than allowed', () => {
  const rounds = fc.array(fc.record({ image: fc.constantFrom('a', 'b', 'c'), ready: fc.array(fc.nat(12)) }), { maxLength: 30 })
  fc.assert(
    fc.property(shape, rounds, (limits, all) => {
      const world = new World(deploymentOf(limits))
      world.roll(10)
      const { maxSurge, maxUnavailable } = limitsOf(world.deployment)
      for (const { image, ready } of all) {
        world.change({ ...limits, image })
        const before = available(world.sets)
        world.step()
        const total = world.replicas.reduce((sum, one) => sum + one, 0)
        expect(total).toBeLessThanOrEqual(limits.replicas + maxSurge)
        expect(available(world.sets)).toBeGreaterThanOrEqual(Math.min(before, limits.replicas - maxUnavailable))
        world.settle((wanted, index) => ready[index] ?? wanted)
      }
    }),
  )
})

const available = (sets: readonly ReplicaSet[]): number =>
  sets.reduce((sum, one) => sum + Math.min(one.spec.replicas ?? 0, one.status?.availableReplicas ?? 0), 0)

test('whatever the limits and whatever happened before, an update ends with all pods in the newest set', () => {
  fc.assert(
    fc.property(
      shape,
      fc.array(fc.record({ image: fc.constantFrom('a', 'b', 'c'), ready: fc.nat(12) }), { maxLength: 10 }),
      (limits, past) => {
        const world = new World(deploymentOf(limits))
        for (const { image, ready } of past) {
          world.change({ ...limits, image })
          world.step()
          world.settle(() => ready)
        }
        world.change({ ...limits, image: 'z' })
        world.roll()
        expect(world.replicas.filter((one) => one > 0)).toEqual(limits.replicas === 0 ? [] : [limits.replicas])
        expect(world.deployment.status?.updatedReplicas).toBe(limits.replicas)
        expect(world.condition).toBe('NewReplicaSetAvailable')
      },
    ),
  )
})

test('scaling up in the middle of an update keeps the ratio of old and new pods', () => {
  const world = new World(deploymentOf({ replicas: 10, maxSurge: 3, maxUnavailable: 2 }))
  world.roll()
  world.change({ replicas: 10, maxSurge: 3, maxUnavailable: 2, image: 'b' })
  world.step() // The new set is made with 3.
  world.settle((wanted, index) => (index === 0 ? wanted : 0))
  world.step() // The old one shrinks to 8.
  expect(world.replicas).toEqual([8, 3])
  world.settle((wanted, index) => (index === 0 ? wanted : 0))
  world.step()
  world.change({ replicas: 20, maxSurge: 3, maxUnavailable: 2, image: 'b' })
  world.step()
  expect(world.replicas).toEqual([14, 9]) // As 8 is to 5.
})

test('Recreate ends all old pods before the first new one comes', () => {
  const world = new World(deploymentOf({ type: 'Recreate' }))
  world.roll(5)
  expect(world.replicas).toEqual([3])
  world.change({ type: 'Recreate', image: 'b' })
  expect(world.step().create).toBeUndefined()
  expect(world.replicas).toEqual([0])
  expect(world.step().create).toBeUndefined() // The pods are still ending.
  world.settle((wanted) => wanted)
  world.step()
  expect(world.replicas).toEqual([0, 3])
})

test('a paused Deployment makes no new set, but can be scaled', () => {
  const world = new World(deploymentOf({}))
  world.roll(5)
  world.change({ image: 'b', paused: true, replicas: 5 })
  world.roll(3)
  expect(world.replicas).toEqual([5])
  expect(world.condition).toBe('DeploymentPaused')
  world.change({ image: 'b', replicas: 5 })
  world.step()
  expect(world.sets).toHaveLength(2)
})

test('an update without progress counts as failed after its deadline, and recovers when the template is put right', () => {
  const world = new World(deploymentOf({}))
  world.roll(5)
  world.change({ image: 'broken' })
  for (let i = 0; i < 5; i++) {
    world.step()
    world.settle((wanted, index) => (index === 0 ? wanted : 0))
  }
  const { againMs } = world.step()
  expect(againMs).toBeGreaterThan(0)
  world.nowMs += 602_000
  world.step()
  expect(world.condition).toBe('ProgressDeadlineExceeded')
  world.change({ image: 'a' })
  world.roll()
  expect(world.condition).toBe('NewReplicaSetAvailable')
  expect(world.replicas[0]).toBe(3)
})

test('going back to an older template takes its set again, under a new revision', () => {
  const world = new World(deploymentOf({ image: 'a' }))
  world.roll(5)
  world.change({ image: 'b' })
  world.roll()
  world.change({ image: 'a' })
  world.roll()
  expect(world.replicas).toEqual([3, 0])
  const annotations = world.sets[0]?.metadata.annotations
  expect(annotations?.['deployment.kubernetes.io/revision']).toBe('3')
  expect(annotations?.['deployment.kubernetes.io/revision-history']).toBe('1')
})

test('a Deployment that is as it should be plans nothing', () => {
  const world = new World(deploymentOf({}))
  world.roll()
  const before = world.deployment.status
  const plan = world.step()
  expect(plan).toMatchObject({ create: undefined, change: [], forget: [], againMs: undefined })
  expect(plan.status).toEqual(before)
})
