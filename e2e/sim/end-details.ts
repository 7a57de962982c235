import type { Pod } from '../../api/kinds/pod.ts'
import { controllerOf, keyOf } from '../../api/meta/object-meta.ts'
import type { ServiceTable } from '../../api/proto/agent.ts'
import type { Seen } from './look.ts'
import { configKey, configVariable, configVolume } from './manifests.ts'
import { isActive, isReady } from './pods.ts'
import { configOf, type Wish } from './wish.ts'

/** Every service leads to the ready pods that it selects, and every node knows it. */
export function serviceDifferences(seen: Seen, { services }: Wish): readonly string[] {
  const missing = [...services].filter((key) => !seen.services.some((one) => keyOf(one) === key))
  const served = new Map(seen.services.map((service) => [keyOf(service), servedBy(seen, keyOf(service))]))
  return [
    ...missing.map((key) => `service ${key} is missing`),
    ...seen.services.flatMap((service) => {
      const key = keyOf(service)
      if (key === 'default/kubernetes') return []
      const [is, wanted] = [served.get(key), readyOf(seen.pods, service.metadata.namespace, service.spec.selector ?? {})]
      return is === wanted ? [] : [`service ${key} leads to "${is}", ready are "${wanted}"`]
    }),
    ...[...seen.tables].flatMap(([node, table]) => tableDifferences(node, table, served)),
    ...sliceDifferences(seen),
  ]
}

const readyOf = (pods: readonly Pod[], namespace: string | undefined, selector: Readonly<Record<string, string>>): string =>
  textOf(
    pods
      .filter((pod) => isActive(pod) && isReady(pod) && pod.metadata.namespace === namespace)
      .filter(({ metadata: { labels = {} } }) => Object.entries(selector).every(([key, value]) => labels[key] === value))
      .map((pod) => pod.status?.podIP ?? ''),
  )

const serviceName = 'kubernetes.io/service-name'

const servedBy = ({ slices }: Seen, key: string): string =>
  textOf(
    slices
      .filter(({ metadata }) => `${metadata.namespace}/${metadata.labels?.[serviceName]}` === key)
      .flatMap(({ endpoints = [] }) =>
        endpoints.filter(({ conditions }) => conditions?.ready !== false).flatMap(({ addresses }) => addresses),
      ),
  )

const textOf = (addresses: readonly string[]): string => addresses.toSorted().join(' ')

function tableDifferences(node: string, table: ServiceTable | undefined, served: ReadonlyMap<string, string>): readonly string[] {
  const entries = new Map(
    (table?.services ?? []).map(({ key, ports }) => [
      key,
      textOf(ports.flatMap(({ endpoints }) => endpoints.map(({ ip }) => ip))),
    ]),
  )
  const keys = new Set([...entries.keys(), ...served.keys()])
  return [...keys]
    .filter((key) => entries.get(key) !== served.get(key))
    .map((key) => `${node} sends traffic for ${key} to "${entries.get(key)}", not to "${served.get(key)}"`)
}

function sliceDifferences({ slices, services }: Seen): readonly string[] {
  const ours = slices.filter((slice) => controllerOf(slice) !== undefined)
  return ours
    .filter((slice) => !services.some(({ metadata }) => metadata.uid === controllerOf(slice)?.uid))
    .map((slice) => `EndpointSlice ${slice.metadata.name} has outlived its service`)
}

/** ConfigMaps and Secrets are as the user set them, and so are the files and variables of ready pods. */
export function configDifferences(seen: Seen, wish: Wish): readonly string[] {
  const found = new Map(seen.configs.map((config) => [`${config.kind} ${keyOf(config)}`, versionIn(config)]))
  const wrong = [...new Set([...found.keys(), ...wish.configs.keys()])]
    .filter((id) => found.get(id) !== versionText(wish.configs.get(id)))
    .map((id) => `${id} is ${found.get(id)}, not ${versionText(wish.configs.get(id))}`)
  return [...wrong, ...[...wish.apps.keys()].flatMap((key) => usedDifferences(seen, wish, key))]
}

const versionText = (version: number | undefined): string | undefined => (version === undefined ? undefined : `v${version}`)

function versionIn({ kind, data }: Seen['configs'][number]): string {
  const text = data?.[configKey] ?? ''
  return kind === 'Secret' ? Buffer.from(text, 'base64').toString('utf8') : text
}

/** A file follows its source; a variable is as the source was when the container was made. */
function usedDifferences({ pods, containers, files }: Seen, wish: Wish, key: string): readonly string[] {
  const app = wish.apps.get(key)
  const config = app === undefined ? undefined : configOf(key, app)
  const version = config === undefined ? undefined : wish.configs.get(config)
  if (app?.config === undefined || version === undefined) return []
  const own = pods.filter(
    (pod) => isActive(pod) && isReady(pod) && `${pod.metadata.namespace}/${pod.metadata.labels?.['app']}` === key,
  )
  return own.flatMap(({ metadata: { name, uid }, spec }) => {
    if (app.config?.as === 'volume') {
      const text = files.get(`${spec.nodeName} ${uid}/${configVolume}/${configKey}`)
      return text === `v${version}` ? [] : [`pod ${name} has ${config} as ${text}, not as v${version}`]
    }
    const main = containers.find(
      ({ identity, status }) => identity.podUid === uid && identity.container === 'main' && status === 'running',
    )
    const value = main?.env.get(configVariable) ?? ''
    return /^v\d+$/.test(value) && (wish.hasRestored || Number(value.slice(1)) <= version)
      ? []
      : [`pod ${name} has ${config} as "${value}"`]
  })
}
