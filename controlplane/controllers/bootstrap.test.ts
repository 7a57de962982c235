import { expect, test } from 'vitest'
import { EndpointSlice } from '../../api/kinds/endpoint-slice.ts'
import { Namespace } from '../../api/kinds/namespace.ts'
import { Service } from '../../api/kinds/service.ts'
import { createWorld } from '../testing/world.ts'
import { bootstrap } from './bootstrap.ts'

test('every start brings the default namespaces and leads the service kubernetes to the addresses of now', async () => {
  await using world = await createWorld()
  const { client, cache, signal } = world
  const start = (address: string) =>
    bootstrap({ client, signal, apiServer: { addresses: [address], port: 6443, clusterIP: '10.43.0.1' } })
  await start('192.0.2.1')
  await start('192.0.2.2')
  await cache.waitForCurrent({ signal })
  const names = cache.list(Namespace).map((one) => one.metadata.name)
  expect(names).toEqual(['default', 'kube-node-lease', 'kube-public', 'kube-system'])
  expect(cache.get(Service, 'default/kubernetes')?.spec.clusterIP).toBe('10.43.0.1')
  expect(cache.list(EndpointSlice)[0]?.endpoints?.map((one) => one.addresses[0])).toEqual(['192.0.2.2'])
})
