import { expect, test } from 'vitest'
import { ConfigMap } from '../../api/kinds/config-map.ts'
import { adminIdentity } from '../../api/meta/request.ts'
import { isExpired } from '../../api/meta/status.ts'
import { configMap } from '../../api/testing/builders.ts'
import { createWorld } from '../testing/world.ts'
import { withoutMeta } from './prepare.ts'

const named = (name: string): ConfigMap => withoutMeta(configMap({ metadata: { name } }), 'uid', 'creationTimestamp') as ConfigMap

test('a page of a state that is forgotten is refused with 410; a watch from 0 begins with what is there', async () => {
  await using world = await createWorld()
  const { client, signal, store, registry } = world
  for (const name of ['a', 'b', 'c']) await client.create(ConfigMap, named(name), { signal })
  const first = await client.list(ConfigMap, { namespace: 'default', limit: 1, signal })
  await client.delete(ConfigMap, { namespace: 'default', name: 'c' }, { signal })
  await store.compact(store.revision, { signal })
  const second = client.list(ConfigMap, { namespace: 'default', limit: 1, continue: first.metadata.continue ?? '', signal })
  await expect(second).rejects.toSatisfy(isExpired)
  const batches = registry.watch(adminIdentity, { kind: ConfigMap, namespace: 'default', resourceVersion: '0' }, { signal })
  for await (const { events } of batches) {
    expect(events.map(({ object }) => object.metadata.name)).toEqual(['a', 'b'])
    break
  }
})
