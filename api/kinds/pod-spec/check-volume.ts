import { wrongConfigKey, wrongLabel, wrongSubdomain } from '../../meta/names.ts'
import { compareQuantity, isQuantity } from '../../meta/quantity.ts'
import { duplicate, forbiddenField, invalid, required } from '../../meta/status.ts'
import { checkName, checkRange, type Wrong } from '../rules.ts'
import { checkFileFieldPath, checkResourceField } from './check-env.ts'
import type { Volume, VolumeProjection } from './volume.ts'

const maxMode = 0o777

export function* checkVolumes(field: string, volumes: readonly Volume[]): Wrong {
  const names = new Set<string>()
  for (const [index, volume] of volumes.entries()) {
    const at = `${field}[${index}]`
    yield* checkName(`${at}.name`, volume.name, wrongLabel)
    if (names.has(volume.name)) yield duplicate(`${at}.name`, volume.name)
    names.add(volume.name)
    yield* checkVolume(at, volume)
  }
}

function* checkVolume(field: string, volume: Volume): Wrong {
  const { name: _name, ...sources } = volume
  const given = Object.entries(sources).filter(([, source]) => source !== undefined)
  if (given.length === 0) yield required(field, 'must specify a volume type')
  for (const [extra] of given.slice(1)) yield forbiddenField(`${field}.${extra}`, 'may not specify more than 1 volume type')
  if (volume.hostPath !== undefined) yield* checkHostPath(`${field}.hostPath.path`, volume.hostPath.path)
  if (volume.emptyDir !== undefined) yield* checkSizeLimit(`${field}.emptyDir.sizeLimit`, volume.emptyDir.sizeLimit)
  if (volume.secret !== undefined) {
    yield* checkName(`${field}.secret.secretName`, volume.secret.secretName, wrongSubdomain)
    yield* checkKeyFiles(`${field}.secret`, volume.secret)
  }
  if (volume.configMap !== undefined) {
    yield* checkName(`${field}.configMap.name`, volume.configMap.name, wrongSubdomain)
    yield* checkKeyFiles(`${field}.configMap`, volume.configMap)
  }
  if (volume.downwardAPI !== undefined) yield* checkDownward(`${field}.downwardAPI`, volume.downwardAPI)
  if (volume.projected !== undefined) yield* checkProjected(`${field}.projected`, volume.projected)
}

/** The path reaches the node as it is: `..` could leave what an administrator allows. */
function* checkHostPath(field: string, path: string): Wrong {
  if (path === '') yield required(field)
  else if (path.split('/').includes('..')) yield invalid(field, path, "must not contain '..'")
}

function* checkSizeLimit(field: string, limit: string | number | undefined): Wrong {
  if (limit === undefined) return
  if (!isQuantity(limit)) yield invalid(field, limit, 'is not a quantity, as in 64Mi')
  else if (compareQuantity(limit, '0') < 0) yield invalid(field, limit, 'must be greater than or equal to 0')
}

/** A relative path that stays inside. */
export function* checkInnerPath(field: string, path: string): Wrong {
  if (path === '') yield required(field)
  else if (path.startsWith('/')) yield invalid(field, path, 'must be a relative path')
  else if (path.split('/').includes('..')) yield invalid(field, path, "must not contain '..'")
}

interface KeyFiles {
  readonly items?: readonly { readonly key: string; readonly path: string; readonly mode?: number }[]
  readonly defaultMode?: number
}

function* checkKeyFiles(field: string, source: KeyFiles): Wrong {
  yield* checkRange(`${field}.defaultMode`, source.defaultMode, 0, maxMode)
  for (const [index, item] of (source.items ?? []).entries()) {
    const at = `${field}.items[${index}]`
    yield* checkName(`${at}.key`, item.key, wrongConfigKey)
    yield* checkInnerPath(`${at}.path`, item.path)
    yield* checkRange(`${at}.mode`, item.mode, 0, maxMode)
  }
}

type Downward = NonNullable<Volume['downwardAPI']>
type Projected = NonNullable<Volume['projected']>

function* checkDownward(field: string, source: Downward): Wrong {
  yield* checkRange(`${field}.defaultMode`, source.defaultMode, 0, maxMode)
  for (const [index, item] of (source.items ?? []).entries()) {
    const at = `${field}.items[${index}]`
    yield* checkInnerPath(`${at}.path`, item.path)
    yield* checkRange(`${at}.mode`, item.mode, 0, maxMode)
    if ((item.fieldRef === undefined) === (item.resourceFieldRef === undefined)) {
      yield required(at, 'one of fieldRef and resourceFieldRef is required')
    }
    if (item.fieldRef !== undefined) yield* checkFileFieldPath(`${at}.fieldRef.fieldPath`, item.fieldRef.fieldPath)
    if (item.resourceFieldRef !== undefined) {
      yield* checkResourceField(`${at}.resourceFieldRef`, item.resourceFieldRef)
      if ((item.resourceFieldRef.containerName ?? '') === '') yield required(`${at}.resourceFieldRef.containerName`)
    }
  }
}

function* checkProjected(field: string, projected: Projected): Wrong {
  yield* checkRange(`${field}.defaultMode`, projected.defaultMode, 0, maxMode)
  for (const [index, source] of (projected.sources ?? []).entries()) yield* checkProjection(`${field}.sources[${index}]`, source)
}

function* checkProjection(field: string, source: VolumeProjection): Wrong {
  const given = Object.values(source).filter((one) => one !== undefined).length
  if (given === 0) yield required(field, 'must specify a source')
  if (given > 1) yield forbiddenField(field, 'may not specify more than 1 volume type per source')
  if (source.secret !== undefined) {
    yield* checkName(`${field}.secret.name`, source.secret.name, wrongSubdomain)
    yield* checkKeyFiles(`${field}.secret`, source.secret)
  }
  if (source.configMap !== undefined) {
    yield* checkName(`${field}.configMap.name`, source.configMap.name, wrongSubdomain)
    yield* checkKeyFiles(`${field}.configMap`, source.configMap)
  }
  if (source.downwardAPI !== undefined) yield* checkDownward(`${field}.downwardAPI`, source.downwardAPI)
}
