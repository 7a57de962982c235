// How fast the API server is: requests per second, lists, watches; against a bare Node.js server and raw etcd.
//   sh deploy/with-node.sh node bench/api.ts [--small] [--profile FOLDER] [--only PART]
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { startApiCluster } from './lib/api-cluster.ts'
import { Measure, type Sizes } from './lib/api-measure.ts'
import { configMap, namespace, pod } from './lib/api-objects.ts'
import { rawEtcd, startBare } from './lib/api-rival.ts'
import { rateTable } from './lib/rates.ts'

const { values } = parseArgs({
  options: { small: { type: 'boolean', default: false }, profile: { type: 'string' }, only: { type: 'string', default: '' } },
})
const sizes: Sizes = values.small
  ? { clients: 4, requests: 60, pods: 100, lists: 3, updates: 4, watchers: [10, 20] }
  : { clients: 16, requests: 20_000, pods: 5_000, lists: 20, updates: 100, watchers: [200, 1_000] }
const nodeFlags = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`]

await using cluster = await startApiCluster({ nodeFlags })
const { api, etcd, folder } = cluster
const read = (name: string): string => readFileSync(join(folder, 'pki', name), 'utf8')
const measure = new Measure(cluster, sizes)
await measure.prepare()

const collection = (plural: string): string => `/api/v1/namespaces/${namespace}/${plural}`
const wanted = (part: string): boolean => values.only === '' || values.only === part
const names = {
  createMap: 'create, ConfigMap',
  createPod: 'create, Pod of 3.5 KB',
  getMap: 'GET, ConfigMap',
  getPod: 'GET, Pod',
  list: `list of ${sizes.pods} pods, JSON`,
  watches: (count: number) => `update, ${count} watches of all`,
  etcdCreate: 'etcd: create, 3.5 KB',
  etcdGet: 'etcd: get, 3.5 KB',
  barePost: 'bare server: POST, 3.5 KB',
  bareGetMap: 'bare server: GET, ConfigMap',
  bareGetPod: 'bare server: GET, Pod',
  bareList: `bare server: GET, the list of ${sizes.pods} pods`,
  bareWatches: (count: number) => `bare server: ${count} watches`,
} as const
const against = new Map<string, string>([
  [names.createPod, names.etcdCreate],
  [names.getMap, names.bareGetMap],
  [names.getPod, names.bareGetPod],
  [names.list, names.bareList],
  ...sizes.watchers.map((count) => [names.watches(count), names.bareWatches(count)] as const),
])

// Everything else needs a few of them.
const isAboutThem = wanted('create') || wanted('list')
await measure.creates(names.createMap, {
  path: collection('configmaps'),
  body: configMap,
  count: isAboutThem ? sizes.requests / 4 : 2 * sizes.clients,
  // The first of all requests: the server's code is being compiled meanwhile.
  warmUp: isAboutThem ? sizes.requests / 4 : 2 * sizes.clients,
})
await measure.creates(names.createPod, {
  path: collection('pods'),
  body: pod,
  count: isAboutThem ? sizes.pods : 2 * sizes.clients,
})
if (wanted('get')) {
  await measure.gets(names.getMap, collection('configmaps'))
  await measure.gets(names.getPod, collection('pods'))
}
if (wanted('update')) {
  await measure.updates('update, ConfigMap', collection('configmaps'), configMap)
  await measure.updates('update, Pod', collection('pods'), pod)
}
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
if (wanted('list')) {
  await measure.list(names.list, collection('pods'), 'application/json')
  await measure.list(`list of ${sizes.pods} pods, Table`, collection('pods'), table)
}
if (wanted('watch')) {
  for (const count of sizes.watchers) await measure.fanOut(names.watches(count), count)
  await measure.selective(`update, ${sizes.watchers.at(-1)} watches of one name each`, sizes.watchers.at(-1) ?? 0)
}
if (values.only === '') await measureRivals()
process.stdout.write(`${rateTable(measure.rows, against)}\n`)

async function measureRivals(): Promise<void> {
  using raw = rawEtcd(etcd)
  await measure.rawEtcd(names.etcdCreate, names.etcdGet, raw, pod('raw'))
  const list = await measure.bodyOf(collection('pods'))
  const one = { [`${collection('configmaps')}/b-0`]: configMap('b-0'), [`${collection('pods')}/b-0`]: pod('b-0') }
  const pair = { cert: read('apiserver.crt'), key: read('apiserver.key') }
  using bare = await startBare(folder, api, pair, { ...one, [collection('pods')]: list })
  const target = measure.bare(bare)
  await target.posts(names.barePost, '/echo', pod)
  await target.gets(names.bareGetMap, collection('configmaps'))
  await target.gets(names.bareGetPod, collection('pods'))
  await target.list(names.bareList, collection('pods'), 'application/json')
  for (const count of sizes.watchers) await target.fanOut(names.bareWatches(count), count)
}
