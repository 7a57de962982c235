import { wrongConfigKey, wrongEnvName, wrongSubdomain } from '../../meta/names.ts'
import { forbiddenField, invalid, notSupported, required } from '../../meta/status.ts'
import { checkName, checkText, type Wrong } from '../rules.ts'
import type { EnvFromSource, EnvVar, EnvVarSource } from './env.ts'

/** Fields of the pod that can be had in the environment and in files. */
const envFieldPaths = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
] as const
const fileFieldPaths = ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid'] as const
const mapField = /^metadata\.(?:labels|annotations)\['([^']+)'\]$/

function* checkFieldPath(field: string, path: string, supported: readonly string[]): Wrong {
  if (path === '') yield required(field)
  else if (!supported.includes(path) && !mapField.test(path)) yield notSupported(field, path, supported)
}

export const checkEnvFieldPath = (field: string, path: string): Wrong => checkFieldPath(field, path, envFieldPaths)
export const checkFileFieldPath = (field: string, path: string): Wrong => checkFieldPath(field, path, fileFieldPaths)

const resources = ['cpu', 'memory', 'ephemeral-storage'].flatMap((name) => [`limits.${name}`, `requests.${name}`])

export function* checkResourceField(field: string, ref: { readonly resource: string }): Wrong {
  if (ref.resource === '') yield required(`${field}.resource`)
  else if (!resources.includes(ref.resource)) yield notSupported(`${field}.resource`, ref.resource, resources)
}

export function* checkEnv(field: string, env: readonly EnvVar[]): Wrong {
  for (const [index, one] of env.entries()) {
    const at = `${field}[${index}]`
    yield* checkName(`${at}.name`, one.name, wrongEnvName)
    if (one.valueFrom === undefined) continue
    yield* checkSource(`${at}.valueFrom`, one.valueFrom)
    if (one.value !== undefined && one.value !== '') {
      yield invalid(`${at}.valueFrom`, '', 'may not be specified when `value` is not empty')
    }
  }
}

function* checkSource(field: string, from: EnvVarSource): Wrong {
  const given = Object.values(from).filter((one) => one !== undefined).length
  if (given !== 1) {
    yield invalid(
      field,
      '',
      given === 0 ? 'must specify one of the ways to get a value' : 'may not have more than one field specified',
    )
  }
  if (from.fieldRef !== undefined) yield* checkEnvFieldPath(`${field}.fieldRef.fieldPath`, from.fieldRef.fieldPath)
  if (from.resourceFieldRef !== undefined) yield* checkResourceField(`${field}.resourceFieldRef`, from.resourceFieldRef)
  if (from.configMapKeyRef !== undefined) yield* checkKeyRef(`${field}.configMapKeyRef`, from.configMapKeyRef)
  if (from.secretKeyRef !== undefined) yield* checkKeyRef(`${field}.secretKeyRef`, from.secretKeyRef)
}

function* checkKeyRef(field: string, ref: { readonly name?: string; readonly key: string }): Wrong {
  yield* checkName(`${field}.name`, ref.name, wrongSubdomain)
  yield* checkName(`${field}.key`, ref.key, wrongConfigKey)
}

export function* checkEnvFrom(field: string, sources: readonly EnvFromSource[]): Wrong {
  for (const [index, source] of sources.entries()) {
    const at = `${field}[${index}]`
    if (source.prefix !== '') yield* checkText(`${at}.prefix`, source.prefix, wrongEnvName)
    if (source.configMapRef === undefined && source.secretRef === undefined) {
      yield invalid(at, '', 'must specify one of: `configMapRef` or `secretRef`')
    }
    if (source.configMapRef !== undefined && source.secretRef !== undefined) {
      yield forbiddenField(`${at}.secretRef`, 'may not have more than one field specified')
    }
    if (source.configMapRef !== undefined) yield* checkName(`${at}.configMapRef.name`, source.configMapRef.name, wrongSubdomain)
    if (source.secretRef !== undefined) yield* checkName(`${at}.secretRef.name`, source.secretRef.name, wrongSubdomain)
  }
}
