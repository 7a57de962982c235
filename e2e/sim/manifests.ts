import type { Deployment } from '../../api/kinds/deployment.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import type { Act, App } from './workload.ts'

/** Keeps a pod after its deletion until the user takes it off. */
export const holdFinalizer = 'example.com/hold'
/** Of the container's variable, and of the volume and its file. */
export const configVariable = 'VERSION'
export const configVolume = 'config'
export const configKey = 'version'

const tolerations = (tolerationSeconds: number) =>
  ['not-ready', 'unreachable'].map((name) => ({
    key: `node.kubernetes.io/${name}`,
    operator: 'Exists' as const,
    effect: 'NoExecute' as const,
    tolerationSeconds,
  }))

export function deployment(metadata: { readonly namespace: string; readonly name: string }, app: App): Deployment {
  const labels = { app: metadata.name, tier: 'apps' }
  const readinessProbe = { exec: { command: ['check'] }, periodSeconds: 5 }
  const livenessProbe = { exec: { command: ['alive'] }, periodSeconds: 5 }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      replicas: app.replicas,
      selector: { matchLabels: { app: metadata.name } },
      strategy: { type: app.strategy },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: app.graceSeconds,
          tolerations: tolerations(app.tolerateSeconds),
          containers: [
            {
              name: 'main',
              image: app.image,
              resources: { requests: { cpu: `${app.cpuMilli}m` } },
              ...(app.hasProbe ? { readinessProbe, livenessProbe } : {}),
              ...inContainer(app.config),
            },
          ],
          ...inPod(app.config),
        },
      },
    },
  }
}

function inContainer(config: App['config']): object {
  if (config === undefined) return {}
  if (config.as === 'volume') return { volumeMounts: [{ name: configVolume, mountPath: '/config' }] }
  const ref = { name: config.name, key: configKey }
  const valueFrom = config.kind === 'Secret' ? { secretKeyRef: ref } : { configMapKeyRef: ref }
  return { env: [{ name: configVariable, valueFrom }] }
}

function inPod(config: App['config']): object {
  if (config?.as !== 'volume') return {}
  const source = config.kind === 'Secret' ? { secret: { secretName: config.name } } : { configMap: { name: config.name } }
  return { volumes: [{ name: configVolume, ...source }] }
}

export function barePod({ namespace, name, image, restartPolicy, isHeld }: Extract<Act, { do: 'runPod' }>): Pod {
  const finalizers = isHeld ? { finalizers: [holdFinalizer] } : {}
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { bare: name }, ...finalizers },
    spec: { restartPolicy, containers: [{ name: 'main', image, resources: { requests: { cpu: '100m' } } }] },
  }
}
