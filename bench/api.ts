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

if (wanted('create') || wanted('list')) {
  await measure.creates('create, ConfigMap', { path: collection('configmaps'), body: configMap, count: sizes.requests / 4 })
  await measure.creates('create, Pod of 3.5 KB', { path: collection('pods'), body: pod, count: sizes.pods })
}
if (wanted('get')) {
  await measure.gets('GET, ConfigMap', collection('configmaps'), configMap)
  await measure.gets('GET, Pod', collection('pods'), pod)
}
if (wanted('update')) {
  await measure.updates('update, ConfigMap', collection('configmaps'), configMap)
  await measure.updates('update, Pod', collection('pods'), pod)
}
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
if (wanted('list')) {
  await measure.list(`list of ${sizes.pods} pods, JSON`, collection('pods'), 'application/json')
  await measure.list(`list of ${sizes.pods} pods, Table`, collection('pods'), table)
}
if (wanted('watch')) {
  for (const count of sizes.watchers) await measure.fanOut(`update, ${count} watches of all`, count)
  await measure.selective(`update, ${sizes.watchers.at(-1)} watches of one name each`, sizes.watchers.at(-1) ?? 0)
}

if (values.only === '') {
  using raw = rawEtcd(etcd)
  await measure.rawEtcd('etcd: create, 3.5 KB', 'etcd: get, 3.5 KB', raw, pod('raw'))
  const list = await measure.bodyOf(collection('pods'))
  const one = { [`${collection('configmaps')}/b-0`]: configMap('b-0'), [`${collection('pods')}/b-0`]: pod('b-0') }
  using bare = await startBare(
    folder,
    api,
    { cert: read('apiserver.crt'), key: read('apiserver.key') },
    { ...one, [collection('pods')]: list },
  )
  const against = measure.bare(bare)
  await against.posts('bare server: POST, 3.5 KB', '/echo', pod)
  await against.gets('bare server: GET, ConfigMap', collection('configmaps'), configMap)
  await against.gets('bare server: GET, Pod', collection('pods'), pod)
  await against.list(`bare server: GET, the list of ${sizes.pods} pods`, collection('pods'), 'application/json')
  for (const count of sizes.watchers) await against.fanOut(`bare server: ${count} watches`, count)
}
process.stdout.write(`${rateTable(measure.rows)}\n`)
