import { expect, test } from 'vitest'
import type { Pod } from '../kinds/pod.ts'
import { usedConfigs } from './used-configs.ts'

test('every way in which a pod names a ConfigMap or a Secret is found, once', () => {
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n' },
    spec: {
      imagePullSecrets: [{ name: 'pull' }],
      initContainers: [
        { name: 'i', image: 'i', envFrom: [{ secretRef: { name: 'init' } }, { configMapRef: { name: 'shared' } }] },
      ],
      containers: [
        {
          name: 'c',
          image: 'i',
          env: [
            { name: 'A', valueFrom: { configMapKeyRef: { name: 'shared', key: 'a' } } },
            { name: 'B', valueFrom: { secretKeyRef: { name: 'key', key: 'b' } } },
            { name: 'C', value: 'plain' },
          ],
        },
      ],
      volumes: [
        { name: 'v1', configMap: { name: 'volume' } },
        { name: 'v2', secret: { secretName: 'volume' } },
        { name: 'v3', projected: { sources: [{ configMap: { name: 'projected' } }, { secret: { name: 'projected' } }] } },
        { name: 'v4', emptyDir: {} },
      ],
    },
  }
  expect(usedConfigs(pod)).toEqual([
    'configmap/n/projected',
    'configmap/n/shared',
    'configmap/n/volume',
    'secret/n/init',
    'secret/n/key',
    'secret/n/projected',
    'secret/n/pull',
    'secret/n/volume',
  ])
})
