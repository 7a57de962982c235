import type { ServiceEntry, ServicePort } from '../../api/proto/agent.ts'

/** The service of the API itself: pods of every namespace are told where it is, also those that want no service links. */
const apiService = 'default/kubernetes'

/** Where a pod finds the services of its namespace, in Kubernetes' variables. Headless services are not in the table. */
export function serviceEnv(
  services: readonly ServiceEntry[],
  { namespace, links }: { readonly namespace: string; readonly links: boolean },
): Readonly<Record<string, string>> {
  const env: Record<string, string> = {}
  const api = services.find(({ key }) => key === apiService)
  if (api !== undefined) Object.assign(env, variablesOf(api))
  if (!links) return env
  for (const service of services) if (service.key.startsWith(`${namespace}/`)) Object.assign(env, variablesOf(service))
  return env
}

function variablesOf({ key, clusterIp, ports }: ServiceEntry): Readonly<Record<string, string>> {
  const [first] = ports
  if (first === undefined) return {}
  const prefix = variableOf(key.slice(key.indexOf('/') + 1))
  const named = ports.filter(({ name }) => name !== '').map(({ name, port }) => [variableOf(name), String(port)] as const)
  return {
    [`${prefix}_SERVICE_HOST`]: clusterIp,
    [`${prefix}_SERVICE_PORT`]: String(first.port),
    ...Object.fromEntries(named.map(([name, port]) => [`${prefix}_SERVICE_PORT_${name}`, port])),
    [`${prefix}_PORT`]: urlOf(clusterIp, first),
    ...Object.assign({}, ...ports.map((port) => linkVariables(prefix, clusterIp, port))),
  }
}

/** As Docker's container links had them. */
function linkVariables(prefix: string, ip: string, port: ServicePort): Readonly<Record<string, string>> {
  const one = `${prefix}_PORT_${port.port}_${port.protocol}`
  return {
    [one]: urlOf(ip, port),
    [`${one}_PROTO`]: port.protocol.toLowerCase(),
    [`${one}_PORT`]: String(port.port),
    [`${one}_ADDR`]: ip,
  }
}

const variableOf = (name: string): string => name.toUpperCase().replaceAll('-', '_')
const urlOf = (ip: string, { protocol, port }: ServicePort): string => `${protocol.toLowerCase()}://${ip}:${port}`
