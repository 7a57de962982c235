import { expect, test } from 'vitest'
import { created, defaulted } from '../../testing/written.ts'
import { Deployment } from '../deployment.ts'
import { Pod } from '../pod.ts'

const podOf = (spec: Readonly<Record<string, unknown>>) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec })
const web = { name: 'web', image: 'nginx' }

/** What Kubernetes 1.32 gives for `kubectl create deployment`, but for the dates and numbers that a server sets. */
test('a Deployment gets the defaults of Kubernetes', () => {
  const input = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [web] } },
    },
  }
  expect(created(Deployment, input)).toEqual({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      progressDeadlineSeconds: 600,
      replicas: 1,
      revisionHistoryLimit: 10,
      selector: { matchLabels: { app: 'web' } },
      strategy: { rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' }, type: 'RollingUpdate' },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          containers: [
            {
              image: 'nginx',
              imagePullPolicy: 'Always',
              name: 'web',
              resources: {},
              terminationMessagePath: '/dev/termination-log',
              terminationMessagePolicy: 'File',
            },
          ],
          dnsPolicy: 'ClusterFirst',
          restartPolicy: 'Always',
          schedulerName: 'default-scheduler',
          securityContext: {},
          terminationGracePeriodSeconds: 30,
        },
      },
    },
  })
})

/** What Kubernetes 1.32 gives, but for the mounted token, which Skiff does not add. */
test('a Pod gets the defaults of Kubernetes, and what its admission adds', () => {
  const lost = { effect: 'NoExecute', operator: 'Exists', tolerationSeconds: 300 }
  const container = {
    ...web,
    image: 'nginx:1.27',
    ports: [{ containerPort: 80 }],
    env: [
      { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
      { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'limits.memory' } } },
    ],
    resources: { limits: { memory: '64Mi' }, requests: { cpu: '10m' } },
    livenessProbe: { httpGet: { port: 80 } },
    lifecycle: { preStop: { httpGet: { port: 80, path: '/bye' } } },
  }
  const volumes = [
    { name: 'a' },
    { name: 'b', configMap: { name: 'cm' } },
    { name: 'c', secret: { secretName: 's' } },
    { name: 'd', hostPath: { path: '/tmp' } },
    { name: 'e', downwardAPI: { items: [{ path: 'l', fieldRef: { fieldPath: 'metadata.labels' } }] } },
    { name: 'f', projected: { sources: [{ configMap: { name: 'cm' } }] } },
  ]
  expect(created(Pod, podOf({ containers: [container], volumes }))).toEqual({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a' },
    spec: {
      containers: [
        {
          env: [
            { name: 'NODE', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'spec.nodeName' } } },
            { name: 'MEM', valueFrom: { resourceFieldRef: { divisor: '0', resource: 'limits.memory' } } },
          ],
          image: 'nginx:1.27',
          imagePullPolicy: 'IfNotPresent',
          lifecycle: { preStop: { httpGet: { path: '/bye', port: 80, scheme: 'HTTP' } } },
          livenessProbe: {
            failureThreshold: 3,
            httpGet: { path: '/', port: 80, scheme: 'HTTP' },
            periodSeconds: 10,
            successThreshold: 1,
            timeoutSeconds: 1,
          },
          name: 'web',
          ports: [{ containerPort: 80, protocol: 'TCP' }],
          resources: { limits: { memory: '64Mi' }, requests: { cpu: '10m', memory: '64Mi' } },
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
      dnsPolicy: 'ClusterFirst',
      enableServiceLinks: true,
      priority: 0,
      restartPolicy: 'Always',
      schedulerName: 'default-scheduler',
      securityContext: {},
      serviceAccount: 'default',
      serviceAccountName: 'default',
      terminationGracePeriodSeconds: 30,
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', ...lost },
        { key: 'node.kubernetes.io/unreachable', ...lost },
      ],
      volumes: [
        { emptyDir: {}, name: 'a' },
        { configMap: { defaultMode: 420, name: 'cm' }, name: 'b' },
        { name: 'c', secret: { defaultMode: 420, secretName: 's' } },
        { hostPath: { path: '/tmp', type: '' }, name: 'd' },
        {
          downwardAPI: { defaultMode: 420, items: [{ fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.labels' }, path: 'l' }] },
          name: 'e',
        },
        { name: 'f', projected: { defaultMode: 420, sources: [{ configMap: { name: 'cm' } }] } },
      ],
    },
    status: { phase: 'Pending', qosClass: 'Burstable' },
  })
})

test.each([
  ['nginx', 'Always'],
  ['nginx:latest', 'Always'],
  ['registry:5000/nginx', 'Always'],
  ['registry:5000/nginx:latest', 'Always'],
  ['registry:5000/nginx:1', 'IfNotPresent'],
  ['nginx:1', 'IfNotPresent'],
  ['nginx@sha256:0123', 'IfNotPresent'],
  ['nginx:latest@sha256:0123', 'Always'],
])('imagePullPolicy of %s is %s', (image, policy) => {
  expect(defaulted(Pod, podOf({ containers: [{ name: 'c', image }] })).spec.containers[0]?.imagePullPolicy).toBe(policy)
})

test('a given imagePullPolicy stays', () => {
  const { spec } = defaulted(Pod, podOf({ containers: [{ ...web, imagePullPolicy: 'Never' }] }))
  expect(spec.containers[0]?.imagePullPolicy).toBe('Never')
})

test('with the network of the node each port is a port of the node', () => {
  const ports = [{ containerPort: 80 }, { containerPort: 81, hostPort: 81 }]
  const { spec } = defaulted(Pod, podOf({ hostNetwork: true, containers: [{ ...web, ports }] }))
  expect(spec.containers[0]?.ports?.map(({ hostPort }) => hostPort)).toEqual([80, 81])
})

test('the old name of the service account is read, and both names are kept equal', () => {
  expect(defaulted(Pod, podOf({ serviceAccount: 'old', containers: [web] })).spec.serviceAccountName).toBe('old')
})

test('own tolerations of lost nodes are not doubled', () => {
  const own = [{ key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 5 }]
  const { tolerations = [] } = created(Pod, podOf({ tolerations: own, containers: [web] })).spec
  expect(tolerations.map(({ key, tolerationSeconds }) => [key, tolerationSeconds])).toEqual([
    ['node.kubernetes.io/unreachable', 5],
    ['node.kubernetes.io/not-ready', 300],
  ])
  expect(created(Pod, podOf({ tolerations: [{ operator: 'Exists' }], containers: [web] })).spec.tolerations).toHaveLength(1)
})

test.each([
  ['BestEffort', [{}]],
  ['BestEffort', [{ requests: { cpu: '0' } }]],
  ['Burstable', [{ requests: { cpu: '10m' } }]],
  ['Burstable', [{ limits: { cpu: '1', memory: '1Gi' } }, {}]],
  ['Burstable', [{ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } }]],
  ['Guaranteed', [{ limits: { cpu: '1', memory: '1Gi' } }]],
  ['Guaranteed', [{ limits: { cpu: '1000m', memory: '1Gi' }, requests: { cpu: 1, memory: '1024Mi' } }]],
])('qosClass is %s', (qosClass, resources) => {
  const containers = resources.map((one, index) => ({ name: `c${index}`, image: 'i', resources: one }))
  expect(created(Pod, podOf({ containers })).status?.qosClass).toBe(qosClass)
})

test('a create drops the status that a client sends', () => {
  const sent = { ...podOf({ containers: [web] }), status: { phase: 'Running', podIP: '1.2.3.4' } }
  expect(created(Pod, sent).status).toEqual({ phase: 'Pending', qosClass: 'BestEffort' })
})
