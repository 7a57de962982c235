/** What the benches create: a small object, and a pod of the size that pods have in clusters (about 3.5 KB as JSON). */
export const namespace = 'bench'

export const configMap = (name: string, round = 0): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, labels: { app: 'bench' } },
    data: { 'app.properties': 'color=blue\nsize=12\nlevel=info\n', round: String(round) },
  })

export const pod = (name: string, round = 0): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: {
        'app.kubernetes.io/name': 'web',
        'app.kubernetes.io/instance': 'web-production',
        'pod-template-hash': '7d4f8b6c9',
        tier: 'frontend',
      },
      annotations: { 'bench/round': String(round), 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9090' },
    },
    spec: {
      // No scheduler is called so: a pod that waits costs nothing more.
      schedulerName: 'bench',
      // What admission would add, so that the same body is an update that changes nothing here.
      serviceAccountName: 'default',
      serviceAccount: 'default',
      priority: 0,
      terminationGracePeriodSeconds: 30,
      containers: ['web', 'proxy'].map(container),
      volumes: [
        { name: 'config', configMap: { name: 'web-config' } },
        { name: 'cache', emptyDir: { sizeLimit: '128Mi' } },
      ],
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
    },
  })

function container(name: string): unknown {
  const probe = (path: string) => ({
    httpGet: { path, port: 8080 },
    initialDelaySeconds: 3,
    periodSeconds: 10,
    timeoutSeconds: 2,
  })
  return {
    name,
    image: `registry.example/team/${name}:1.24.3`,
    imagePullPolicy: 'IfNotPresent',
    command: ['/usr/local/bin/server', '--listen=:8080', '--metrics=:9090', '--log-format=json'],
    ports: [
      { name: 'http', containerPort: 8080, protocol: 'TCP' },
      { name: 'metrics', containerPort: 9090, protocol: 'TCP' },
    ],
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'web-database', key: 'url' } } },
      { name: 'LOG_LEVEL', value: 'info' },
      { name: 'WORKERS', value: '4' },
    ],
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
    livenessProbe: probe('/healthz'),
    readinessProbe: probe('/ready'),
    volumeMounts: [
      { name: 'config', mountPath: '/etc/web', readOnly: true },
      { name: 'cache', mountPath: '/var/cache/web' },
    ],
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, runAsUser: 1000 },
  }
}
