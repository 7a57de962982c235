import { expect, test } from 'vitest'
import { type Part, pod } from '../../testing/builders.ts'
import { parsed, wrongIn, wrongInUpdate } from '../../testing/written.ts'
import { Pod } from '../pod.ts'

type Fields = Readonly<Record<string, unknown>>
const podWith = (spec: Fields) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'a' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
})
const containerWith = (container: Fields, spec: Fields = {}) =>
  podWith({ containers: [{ name: 'c', image: 'i', ...container }], ...spec })
const volume = (source: Fields) => podWith({ volumes: [{ name: 'v', ...source }] })
const probe = (fields: Fields) => containerWith({ livenessProbe: { tcpSocket: { port: 80 }, ...fields } })
const env = (fields: Fields) => containerWith({ env: [{ name: 'A', ...fields }] })
const mount = (fields: Fields) =>
  containerWith({ volumeMounts: [{ name: 'v', mountPath: '/v', ...fields }] }, { volumes: [{ name: 'v', emptyDir: {} }] })
const at = (field: string) => `spec.containers[0].${field}`
const needed = 'requiredDuringSchedulingIgnoredDuringExecution'
const nodeTerms = (...nodeSelectorTerms: readonly unknown[]) =>
  podWith({ affinity: { nodeAffinity: { [needed]: { nodeSelectorTerms } } } })
const nodeRule = (rule: Fields) => nodeTerms({ matchExpressions: [rule] })
const nodeTermAt = `spec.affinity.nodeAffinity.${needed}.nodeSelectorTerms`
const podTerm = (term: Fields) => podWith({ affinity: { podAntiAffinity: { [needed]: [{ topologyKey: 'zone', ...term }] } } })

test.each<[string, unknown]>([
  ['spec.containers Required', podWith({ containers: [] })],
  [at('name Required'), containerWith({ name: '' })],
  [at('name Invalid'), containerWith({ name: 'Not_A_Label' })],
  [at('image Required'), containerWith({ image: '' })],
  [at('image Required'), containerWith({ image: undefined })],
  [at('image Invalid'), containerWith({ image: ' i' })],
  [
    'spec.containers[1].name Duplicate',
    podWith({
      containers: [
        { name: 'c', image: 'i' },
        { name: 'c', image: 'i' },
      ],
    }),
  ],
  ['spec.initContainers[0].name Duplicate', podWith({ initContainers: [{ name: 'c', image: 'i' }] })],
  [
    'spec.initContainers[0].restartPolicy Forbidden',
    podWith({ initContainers: [{ name: 'i', image: 'i', restartPolicy: 'Always' }] }),
  ],
  [
    'spec.initContainers[0].livenessProbe Forbidden',
    podWith({ initContainers: [{ name: 'i', image: 'i', livenessProbe: { exec: { command: ['a'] } } }] }),
  ],
  [at('ports[0].containerPort Invalid'), containerWith({ ports: [{ containerPort: 0 }] })],
  [at('ports[0].hostPort Invalid'), containerWith({ ports: [{ containerPort: 1, hostPort: 70000 }] })],
  [at('ports[0].hostPort Invalid'), containerWith({ ports: [{ containerPort: 1, hostPort: 2 }] }, { hostNetwork: true })],
  [
    at('ports[1].hostPort Duplicate'),
    containerWith({
      ports: [
        { containerPort: 1, hostPort: 5 },
        { containerPort: 2, hostPort: 5 },
      ],
    }),
  ],
  [at('ports[0].hostIP Invalid'), containerWith({ ports: [{ containerPort: 1, hostPort: 5, hostIP: 'here' }] })],
  [at('ports[0].name Invalid'), containerWith({ ports: [{ containerPort: 1, name: 'much-too-long-a-name' }] })],
  [
    at('ports[1].name Duplicate'),
    containerWith({
      ports: [
        { containerPort: 1, name: 'a' },
        { containerPort: 2, name: 'a' },
      ],
    }),
  ],
  [at('env[0].name Invalid'), containerWith({ env: [{ name: 'A=B' }] })],
  [at('env[0].name Required'), containerWith({ env: [{ name: '' }] })],
  [at('env[0].valueFrom Invalid'), env({ valueFrom: {} })],
  [at('env[0].valueFrom Invalid'), env({ value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } })],
  [at('env[0].valueFrom.fieldRef.fieldPath NotSupported'), env({ valueFrom: { fieldRef: { fieldPath: 'spec.volumes' } } })],
  [at('env[0].valueFrom.fieldRef.fieldPath NotSupported'), env({ valueFrom: { fieldRef: { fieldPath: 'metadata.labels' } } })],
  [
    at('env[0].valueFrom.resourceFieldRef.resource NotSupported'),
    env({ valueFrom: { resourceFieldRef: { resource: 'limits.gpu' } } }),
  ],
  [at('env[0].valueFrom.configMapKeyRef.name Required'), env({ valueFrom: { configMapKeyRef: { key: 'k' } } })],
  [at('env[0].valueFrom.secretKeyRef.key Invalid'), env({ valueFrom: { secretKeyRef: { name: 's', key: 'a/b' } } })],
  [at('envFrom[0] Invalid'), containerWith({ envFrom: [{ prefix: 'A_' }] })],
  [at('envFrom[0].secretRef Forbidden'), containerWith({ envFrom: [{ configMapRef: { name: 'a' }, secretRef: { name: 'b' } }] })],
  [at('resources.limits.cpu Invalid'), containerWith({ resources: { limits: { cpu: 'much' }, requests: { cpu: 1 } } })],
  [at('resources.requests[cpu] Invalid'), containerWith({ resources: { requests: { cpu: '-1' } } })],
  [
    at('resources.requests[memory] Invalid'),
    containerWith({ resources: { limits: { memory: '1Mi' }, requests: { memory: '2M' } } }),
  ],
  [
    `${at('resources.limits[disk] NotSupported')}, ${at('resources.requests[disk] NotSupported')}`,
    containerWith({ resources: { limits: { disk: 1 }, requests: { disk: 1 } } }),
  ],
  [at('resources.limits[example.com/gpu] Required'), containerWith({ resources: { requests: { 'example.com/gpu': 1 } } })],
  [
    `${at('resources.limits[example.com/gpu] Invalid')}, ${at('resources.requests[example.com/gpu] Invalid')}`,
    containerWith({ resources: { limits: { 'example.com/gpu': '500m' } } }),
  ],
  [at('volumeMounts[0].name NotFound'), mount({ name: 'other' })],
  [at('volumeMounts[0].mountPath Required'), mount({ mountPath: '' })],
  [at('volumeMounts[0].mountPath Invalid'), mount({ mountPath: '/a:/b' })],
  [at('volumeMounts[0].mountPath Invalid'), mount({ mountPath: 'relative' })],
  [at('volumeMounts[0].subPath Invalid'), mount({ subPath: '../up' })],
  [at('volumeMounts[0].subPath Invalid'), mount({ subPath: '/abs' })],
  [
    at('volumeMounts[1].mountPath Invalid'),
    containerWith(
      {
        volumeMounts: [
          { name: 'v', mountPath: '/v' },
          { name: 'v', mountPath: '/v' },
        ],
      },
      { volumes: [{ name: 'v' }] },
    ),
  ],
  [at('livenessProbe Required'), containerWith({ livenessProbe: {} })],
  [at('livenessProbe.tcpSocket Forbidden'), probe({ exec: { command: ['a'] } })],
  [at('livenessProbe.tcpSocket.port Invalid'), probe({ tcpSocket: { port: 0 } })],
  [at('livenessProbe.exec.command Required'), containerWith({ livenessProbe: { exec: { command: [] } } })],
  [
    at('livenessProbe.httpGet.httpHeaders[0].name Invalid'),
    containerWith({ livenessProbe: { httpGet: { port: 1, httpHeaders: [{ name: 'a b', value: '' }] } } }),
  ],
  [
    at('livenessProbe.httpGet.httpHeaders[0].value Invalid'),
    containerWith({ livenessProbe: { httpGet: { port: 1, httpHeaders: [{ name: 'a', value: 'b\r\nc: d' }] } } }),
  ],
  [at('livenessProbe.successThreshold Invalid'), probe({ successThreshold: 2 })],
  [at('livenessProbe.periodSeconds Invalid'), probe({ periodSeconds: -1 })],
  [
    at('readinessProbe.terminationGracePeriodSeconds Invalid'),
    containerWith({ readinessProbe: { tcpSocket: { port: 1 }, terminationGracePeriodSeconds: 5 } }),
  ],
  [at('lifecycle.preStop Required'), containerWith({ lifecycle: { preStop: {} } })],
  [at('lifecycle.preStop.sleep.seconds Invalid'), containerWith({ lifecycle: { preStop: { sleep: { seconds: 31 } } } })],
  [at('securityContext.runAsUser Invalid'), containerWith({ securityContext: { runAsUser: -1 } })],
  [
    at('securityContext.allowPrivilegeEscalation Invalid'),
    containerWith({ securityContext: { privileged: true, allowPrivilegeEscalation: false } }),
  ],
  ['spec.volumes[0].name Invalid', podWith({ volumes: [{ name: 'A' }] })],
  ['spec.volumes[1].name Duplicate', podWith({ volumes: [{ name: 'v' }, { name: 'v' }] })],
  ['spec.volumes[0].secret Forbidden', volume({ emptyDir: {}, secret: { secretName: 's' } })],
  ['spec.volumes[0].secret.secretName Required', volume({ secret: {} })],
  ['spec.volumes[0].configMap.items[0].path Invalid', volume({ configMap: { name: 'c', items: [{ key: 'k', path: '../k' }] } })],
  ['spec.volumes[0].configMap.defaultMode Invalid', volume({ configMap: { name: 'c', defaultMode: 512 } })],
  ['spec.volumes[0].hostPath.path Invalid', volume({ hostPath: { path: '/a/../b' } })],
  ['spec.volumes[0].emptyDir.sizeLimit Invalid', volume({ emptyDir: { sizeLimit: 'big' } })],
  ['spec.volumes[0].downwardAPI.items[0] Required', volume({ downwardAPI: { items: [{ path: 'p' }] } })],
  [
    'spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath NotSupported',
    volume({ downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'status.podIP' } }] } }),
  ],
  ['spec.volumes[0].projected.sources[0] Required', volume({ projected: { sources: [{}] } })],
  ['spec.hostPID Forbidden', podWith({ hostPID: true })],
  ['spec.hostIPC Forbidden', podWith({ hostIPC: true })],
  ['spec.hostUsers Forbidden', podWith({ hostUsers: false })],
  ['spec.terminationGracePeriodSeconds Invalid', podWith({ terminationGracePeriodSeconds: -1 })],
  ['spec.activeDeadlineSeconds Invalid', podWith({ activeDeadlineSeconds: 0 })],
  ['spec.hostname Invalid', podWith({ hostname: 'a.b' })],
  ['spec.nodeSelector Invalid', podWith({ nodeSelector: { 'a b': 'c' } })],
  ['spec.imagePullSecrets[0].name Required', podWith({ imagePullSecrets: [{}] })],
  ['spec.hostAliases[0].ip Invalid', podWith({ hostAliases: [{ ip: '1.2.3', hostnames: ['a'] }] })],
  ['spec.dnsConfig.nameservers Required', podWith({ dnsPolicy: 'None' })],
  ['spec.dnsConfig.nameservers[0] Invalid', podWith({ dnsConfig: { nameservers: ['ns'] } })],
  ['spec.securityContext.sysctls[0].name Invalid', podWith({ securityContext: { sysctls: [{ name: 'Net Core', value: '1' }] } })],
  ['spec.tolerations[0].operator Invalid', podWith({ tolerations: [{ effect: 'NoSchedule' }] })],
  ['spec.tolerations[0].effect Invalid', podWith({ tolerations: [{ key: 'a', tolerationSeconds: 5 }] })],
  ['spec.tolerations[0].value Invalid', podWith({ tolerations: [{ key: 'a', operator: 'Exists', value: 'b' }] })],
  [
    'spec.topologySpreadConstraints[0].maxSkew Invalid',
    podWith({ topologySpreadConstraints: [{ maxSkew: 0, topologyKey: 'z', whenUnsatisfiable: 'DoNotSchedule' }] }),
  ],
  [`${nodeTermAt} Required`, nodeTerms()],
  [`${nodeTermAt}[0].matchExpressions[0].values Required`, nodeRule({ key: 'a', operator: 'In' })],
  [`${nodeTermAt}[0].matchExpressions[0].values Forbidden`, nodeRule({ key: 'a', operator: 'Exists', values: ['x'] })],
  [`${nodeTermAt}[0].matchExpressions[0].values Required`, nodeRule({ key: 'a', operator: 'Gt', values: ['x'] })],
  [`spec.affinity.podAntiAffinity.${needed}[0].topologyKey Required`, podTerm({ topologyKey: '' })],
  [`spec.affinity.podAntiAffinity.${needed}[0].namespaces[0] Invalid`, podTerm({ namespaces: ['A'] })],
])('refused: %s', (wrong, object) => {
  expect(wrongIn(Pod, object).join(', ')).toBe(wrong)
})

test.each<[string, unknown]>([
  ['annotations of one key in the environment', env({ valueFrom: { fieldRef: { fieldPath: "metadata.annotations['a/b']" } } })],
  [
    'the same host port for TCP and UDP',
    containerWith({
      ports: [
        { containerPort: 1, hostPort: 5 },
        { containerPort: 1, hostPort: 5, protocol: 'UDP' },
      ],
    }),
  ],
  ['host namespaces that are switched off', podWith({ hostPID: false, hostIPC: false, hostUsers: true })],
  ['an extended resource', containerWith({ resources: { limits: { 'example.com/gpu': 2 } } })],
  ['a toleration of everything', podWith({ tolerations: [{ operator: 'Exists' }] })],
  ['a variable name with a dot and a dash', containerWith({ env: [{ name: 'a.b-c' }] })],
  [
    'no kernel parameter of the network with the network of the node',
    podWith({ hostNetwork: true, securityContext: { sysctls: [{ name: 'kernel.shm_rmid_forced', value: '1' }] } }),
  ],
])('taken: %s', (_what, object) => {
  expect(wrongIn(Pod, object)).toEqual([])
})

test.each([
  ['an unknown protocol', containerWith({ ports: [{ containerPort: 1, protocol: 'SCTP' }] })],
  ['an unknown restart policy', podWith({ restartPolicy: 'Sometimes' })],
  ['another operating system', podWith({ os: { name: 'windows' } })],
])('the schema refuses %s', (_what, object) => {
  expect(() => parsed(Pod, object)).toThrow('NotSupported')
})

const placed = pod({ spec: { nodeName: 'n', activeDeadlineSeconds: 60, tolerations: [{ key: 'a', operator: 'Exists' }] } })
test.each<[string, Part<Pod>, string[]]>([
  ['nothing', {}, []],
  ['an image', { spec: { containers: [{ name: 'web', image: 'web:2' }] } }, []],
  ['labels', { metadata: { labels: { a: 'b' } } }, []],
  ['a shorter deadline', { spec: { activeDeadlineSeconds: 30 } }, []],
  ['a longer deadline', { spec: { activeDeadlineSeconds: 90 } }, ['spec.activeDeadlineSeconds Invalid']],
  ['no deadline any more', { spec: { activeDeadlineSeconds: undefined } }, ['spec.activeDeadlineSeconds Invalid']],
  [
    'one more toleration',
    {
      spec: {
        tolerations: [
          { key: 'a', operator: 'Exists' },
          { key: 'b', operator: 'Exists' },
        ],
      },
    },
    [],
  ],
  ['one toleration less', { spec: { tolerations: [] } }, ['spec.tolerations Forbidden']],
  ['a variable', { spec: { containers: [{ name: 'web', image: 'web:1', env: [{ name: 'A' }] }] } }, ['spec Forbidden']],
  ['the node', { spec: { nodeName: 'other' } }, ['spec Forbidden']],
  ['the grace period', { spec: { terminationGracePeriodSeconds: 5 } }, ['spec Forbidden']],
  [
    'one more container',
    {
      spec: {
        containers: [
          { name: 'web', image: 'i' },
          { name: 'b', image: 'i' },
        ],
      },
    },
    ['spec.containers Forbidden'],
  ],
])('an update that changes %s', (_what, change, wrong) => {
  expect(wrongInUpdate(Pod, pod(placed, change), placed)).toEqual(wrong)
})

test('an update through the main resource does not touch the status', () => {
  const running = pod({ status: { phase: 'Running' } })
  expect(Pod.strategy.prepareForUpdate?.(pod({ status: { phase: 'Failed' } }), running).status?.phase).toBe('Running')
})

test.each([
  [30, pod({ spec: { nodeName: 'n' } })],
  [5, pod({ spec: { nodeName: 'n', terminationGracePeriodSeconds: 5 } })],
  [0, pod()],
  [0, pod({ spec: { nodeName: 'n' }, status: { phase: 'Succeeded' } })],
  [0, pod({ spec: { nodeName: 'n' }, status: { phase: 'Failed' } })],
])('a deletion gives %i seconds', (seconds, object) => {
  expect(Pod.strategy.deleteGraceSeconds?.(object)).toBe(seconds)
})
