import type { ConfigMap } from '../../api/kinds/config-map.ts'
import type { Secret } from '../../api/kinds/secret.ts'
import type { DesiredState } from '../contracts.ts'
import { resourceField } from '../resources/limits.ts'
import { expand } from './expand.ts'
import { type FieldFacts, fieldValue } from './field-ref.ts'
import { type Container, containersOf, type EnvVar, namespaceOf } from './pod-types.ts'

/** The pod's own configuration stands in the way of making its container; its message says what is missing. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly reason: 'CreateContainerConfigError' | 'InvalidImageName' | 'RunContainerError'
  constructor(message: string, reason: ConfigError['reason'] = 'CreateContainerConfigError') {
    super(message)
    this.reason = reason
  }
}

export type Configs = Pick<DesiredState, 'configMap' | 'secret'>

export interface EnvFacts extends FieldFacts {
  readonly configs: Configs
  /** Variables that come before the container's own, such as those of the API's service. */
  readonly base: Readonly<Record<string, string>>
}

export interface Environment {
  readonly env: ReadonlyMap<string, string>
  /** Keys of envFrom sources that can't be names of variables. */
  readonly skipped: readonly { readonly source: string; readonly keys: readonly string[] }[]
}

/** Base, then envFrom in order, then env in order; the later wins, and a value may refer to what stands before it. */
export function environment(container: Container, facts: EnvFacts): Environment {
  const env = new Map(Object.entries(facts.base))
  const skipped: { source: string; keys: readonly string[] }[] = []
  for (const from of container.envFrom ?? []) {
    const { source, data } = envFromData(from, facts)
    const prefix = from.prefix ?? ''
    const invalid = Object.keys(data).filter((key) => !isVariableName(prefix + key))
    for (const [key, value] of Object.entries(data)) if (isVariableName(prefix + key)) env.set(prefix + key, value)
    if (invalid.length > 0) skipped.push({ source, keys: invalid.sort() })
  }
  for (const variable of container.env ?? []) {
    const value = variableValue(variable, container, facts, env)
    if (value === undefined) continue
    env.delete(variable.name) // So that its place is where it was defined last.
    env.set(variable.name, value)
  }
  return { env, skipped }
}

/** Letters, digits, `.`, `_` and `-`, no digit first: what the API calls a valid name for keys of envFrom. */
const isVariableName = (name: string): boolean => /^[-._a-zA-Z][-._a-zA-Z0-9]{0,1023}$/.test(name)

type EnvFrom = NonNullable<Container['envFrom']>[number]

function envFromData(from: EnvFrom, facts: EnvFacts): { source: string; data: Readonly<Record<string, string>> } {
  const namespace = namespaceOf(facts.pod)
  if (from.configMapRef !== undefined) {
    const { name = '', optional } = from.configMapRef
    const found = facts.configs.configMap(namespace, name)
    if (found === undefined && optional !== true) throw new ConfigError(`configmap "${name}" not found`)
    return { source: `configmap ${namespace}/${name}`, data: found?.data ?? {} }
  }
  if (from.secretRef !== undefined) {
    const { name = '', optional } = from.secretRef
    const found = facts.configs.secret(namespace, name)
    if (found === undefined && optional !== true) throw new ConfigError(`secret "${name}" not found`)
    const data = Object.entries(found?.data ?? {}).map(([key, value]) => [key, decodeBase64(value)] as const)
    return { source: `secret ${namespace}/${name}`, data: Object.fromEntries(data) }
  }
  return { source: '', data: {} }
}

function variableValue(
  { name, value, valueFrom }: EnvVar,
  container: Container,
  facts: EnvFacts,
  env: ReadonlyMap<string, string>,
): string | undefined {
  if (valueFrom === undefined) return expand(value ?? '', (key) => env.get(key))
  if (valueFrom.fieldRef !== undefined) {
    const found = fieldValue(valueFrom.fieldRef.fieldPath, facts)
    if (found === undefined) throw new ConfigError(`env ${name}: unsupported fieldPath: ${valueFrom.fieldRef.fieldPath}`)
    return found
  }
  if (valueFrom.resourceFieldRef !== undefined) return resourceValue(name, valueFrom.resourceFieldRef, container, facts)
  if (valueFrom.configMapKeyRef !== undefined) return configMapValue(valueFrom.configMapKeyRef, facts)
  if (valueFrom.secretKeyRef !== undefined) return secretValue(valueFrom.secretKeyRef, facts)
  return undefined
}

type ResourceRef = NonNullable<NonNullable<EnvVar['valueFrom']>['resourceFieldRef']>

function resourceValue(variable: string, ref: ResourceRef, own: Container, { pod, node }: EnvFacts): string {
  const named = ref.containerName === undefined || ref.containerName === '' ? own : containerNamed(pod, ref.containerName)
  if (named === undefined) throw new ConfigError(`env ${variable}: container ${ref.containerName ?? ''} not found`)
  const found = resourceField(named, ref, node)
  if (found === undefined) throw new ConfigError(`env ${variable}: unsupported container resource: ${ref.resource}`)
  return found
}

export const containerNamed = (pod: EnvFacts['pod'], name: string): Container | undefined =>
  containersOf(pod).find((container) => container.name === name)

interface KeyRef {
  readonly name?: string
  readonly key: string
  readonly optional?: boolean
}

function configMapValue({ name = '', key, optional }: KeyRef, { pod, configs }: EnvFacts): string | undefined {
  const namespace = namespaceOf(pod)
  const found: ConfigMap | undefined = configs.configMap(namespace, name)
  const value = found?.data?.[key]
  if (value !== undefined || optional === true) return value
  if (found === undefined) throw new ConfigError(`configmap "${name}" not found`)
  throw new ConfigError(`couldn't find key ${key} in ConfigMap ${namespace}/${name}`)
}

function secretValue({ name = '', key, optional }: KeyRef, { pod, configs }: EnvFacts): string | undefined {
  const namespace = namespaceOf(pod)
  const found: Secret | undefined = configs.secret(namespace, name)
  const value = found?.data?.[key]
  if (value !== undefined) return decodeBase64(value)
  if (optional === true) return undefined
  if (found === undefined) throw new ConfigError(`secret "${name}" not found`)
  throw new ConfigError(`couldn't find key ${key} in Secret ${namespace}/${name}`)
}

const decodeBase64 = (text: string): string => Buffer.from(text, 'base64').toString('utf8')
