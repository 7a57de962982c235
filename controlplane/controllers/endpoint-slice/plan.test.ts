import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EndpointSlice } from '../../../api/kinds/endpoint-slice.ts'
import type { Pod } from '../../../api/kinds/pod.ts'
import type { Service } from '../../../api/kinds/service.ts'
import { planSlices } from './plan.ts'

const serviceOf = (spec: Partial<Service['spec']> = {}): Service =>
  ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'x', uid: 's', labels: { team: 'a' } },
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
  }) as Service

function podOf(
  index: number,
  { ready = true, leaving = false, port = 8080, ip = `10.42.0.${index}`, phase = 'Running' } = {},
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `p${index}`,
      namespace: 'x',
      uid: `u${index}`,
      ...(leaving ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'a', ports: [{ name: 'http', containerPort: port }] }] },
    status: { phase, podIP: ip, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  } as unknown as Pod
}

/** The slices as they are when the plan has been carried out. */
function after(service: Service, pods: readonly Pod[], slices: readonly EndpointSlice[]): readonly EndpointSlice[] {
  const plan = planSlices({ service, pods, slices })
  const kept = slices
    .filter((one) => !plan.delete.includes(one))
    .map((one) => plan.update.find((changed) => changed.metadata.name === one.metadata.name) ?? one)
  const made = plan.create.map((one, index) => ({
    ...one,
    metadata: { ...one.metadata, name: `s${kept.length + index}-${slices.length}` },
  }))
  return [...kept, ...made]
}

test('every pod is in exactly one slice of at most 100, and a second look changes nothing', () => {
  const pod = fc.record({ index: fc.nat(300), ready: fc.boolean(), leaving: fc.boolean(), port: fc.constantFrom(8080, 9090) })
  const pods = fc.uniqueArray(pod, { selector: ({ index }) => index, maxLength: 250 })
  fc.assert(
    fc.property(fc.array(pods, { minLength: 1, maxLength: 4 }), (states) => {
      const service = serviceOf()
      let slices: readonly EndpointSlice[] = []
      for (const state of states) {
        const now = state.map(({ index, ...shape }) => podOf(index, { ...shape, ip: `10.42.${index >> 8}.${index & 255}` }))
        slices = after(service, now, slices)
        const uids = slices.flatMap((one) => one.endpoints ?? []).map((one) => one.targetRef?.uid)
        expect(uids.sort()).toEqual(now.map((one) => one.metadata.uid).sort())
        for (const slice of slices) expect(slice.endpoints?.length).toBeLessThanOrEqual(100)
        expect(planSlices({ service, pods: now, slices })).toEqual({ create: [], update: [], delete: [] })
      }
    }),
    { numRuns: 30 },
  )
})

test('one pod that changes changes one slice', () => {
  const pods = Array.from({ length: 250 }, (_, index) => podOf(index))
  const slices = after(serviceOf(), pods, [])
  expect(slices).toHaveLength(3)
  const changed = pods.map((pod, index) => (index === 120 ? podOf(120, { ready: false }) : pod))
  const plan = planSlices({ service: serviceOf(), pods: changed, slices })
  expect(plan.update).toHaveLength(1)
  expect([...plan.create, ...plan.delete]).toEqual([])
})

test.each([
  ['ready', {}, {}, { ready: true, serving: true, terminating: false }],
  ['not ready', { ready: false }, {}, { ready: false, serving: false, terminating: false }],
  ['ending, but serving', { leaving: true }, {}, { ready: false, serving: true, terminating: true }],
  [
    'published before it is ready',
    { ready: false },
    { publishNotReadyAddresses: true },
    { ready: true, serving: false, terminating: false },
  ],
])('a pod that is %s', (_state, pod, spec, conditions) => {
  const { create } = planSlices({ service: serviceOf(spec), pods: [podOf(1, pod)], slices: [] })
  expect(create[0]?.endpoints?.[0]?.conditions).toEqual(conditions)
})

test('pods without address, and finished ones, are left out', () => {
  const pods = [podOf(1, { ip: '' }), podOf(2, { phase: 'Succeeded' })]
  expect(planSlices({ service: serviceOf(), pods, slices: [] }).create).toEqual([])
})

test('labels say whose the slice is, and a headless service is marked', () => {
  const { create } = planSlices({ service: serviceOf({ clusterIP: 'None' }), pods: [podOf(1)], slices: [] })
  expect(create[0]?.metadata.labels).toEqual({
    team: 'a',
    'kubernetes.io/service-name': 'web',
    'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    'service.kubernetes.io/headless': '',
  })
  expect(create[0]?.ports).toEqual([{ name: 'http', protocol: 'TCP', port: 8080 }])
})
