import type { Pod } from '../kinds/pod.ts'
import type { Container } from '../kinds/pod-spec/container.ts'
import type { Volume } from '../kinds/pod-spec/volume.ts'

/** A ConfigMap or Secret by its place, as in `configmap/default/settings`: how the gRPC contract names them. */
export type ConfigKey = string

export const configMapKey = (namespace: string, name: string): ConfigKey => `configmap/${namespace}/${name}`
export const secretKey = (namespace: string, name: string): ConfigKey => `secret/${namespace}/${name}`

interface Used {
  readonly configMaps: (string | undefined)[]
  readonly secrets: (string | undefined)[]
}

const cache = new WeakMap<Pod, readonly ConfigKey[]>()

/** Every ConfigMap and Secret that a pod may read: by env, envFrom, volumes, projected volumes and pull secrets. */
export function usedConfigs(pod: Pod): readonly ConfigKey[] {
  const known = cache.get(pod)
  if (known !== undefined) return known
  const used: Used = { configMaps: [], secrets: (pod.spec.imagePullSecrets ?? []).map(({ name }) => name) }
  for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) addContainer(container, used)
  for (const volume of pod.spec.volumes ?? []) addVolume(volume, used)
  const namespace = pod.metadata.namespace ?? 'default'
  const keys = [
    ...used.configMaps.filter(isName).map((name) => configMapKey(namespace, name)),
    ...used.secrets.filter(isName).map((name) => secretKey(namespace, name)),
  ]
  const sorted = [...new Set(keys)].sort()
  cache.set(pod, sorted)
  return sorted
}

const isName = (name: string | undefined): name is string => name !== undefined && name !== ''

function addContainer({ env = [], envFrom = [] }: Container, used: Used): void {
  for (const { valueFrom } of env) {
    used.configMaps.push(valueFrom?.configMapKeyRef?.name)
    used.secrets.push(valueFrom?.secretKeyRef?.name)
  }
  for (const { configMapRef, secretRef } of envFrom) {
    used.configMaps.push(configMapRef?.name)
    used.secrets.push(secretRef?.name)
  }
}

function addVolume(volume: Volume, used: Used): void {
  used.configMaps.push(volume.configMap?.name)
  used.secrets.push(volume.secret?.secretName)
  for (const { configMap, secret } of volume.projected?.sources ?? []) {
    used.configMaps.push(configMap?.name)
    used.secrets.push(secret?.name)
  }
}
