import { configMapKey, secretKey, usedConfigs } from '../../api/derive/used-configs.ts'
import type { Configs } from './env.ts'
import { namespaceOf, type Pod } from './pod-types.ts'

/** A text that changes whenever a ConfigMap or Secret that the pod uses does. */
export function configVersions(pod: Pod, configs: Configs): string {
  const namespace = namespaceOf(pod)
  return usedConfigs(pod)
    .map((key) => {
      const name = key.slice(key.lastIndexOf('/') + 1)
      const isSecret = key === secretKey(namespace, name)
      const found = isSecret
        ? configs.secret(namespace, name)
        : key === configMapKey(namespace, name)
          ? configs.configMap(namespace, name)
          : undefined
      return found === undefined ? `${key}=none` : `${key}=${found.metadata.uid ?? ''}/${found.metadata.resourceVersion ?? ''}`
    })
    .join(' ')
}
