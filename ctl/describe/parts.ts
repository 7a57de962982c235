import type { Deployment } from '../../api/kinds/deployment.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import type { DeepReadonly } from '../../api/meta/object-meta.ts'
import { describeContainers } from './containers.ts'
import type { DescribeWriter } from './writer.ts'

type PodSpec = Pod['spec']

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'
const longLine = 140

/** Long and many-lined values below their key; what `apply` keeps for itself not at all. */
export function describeAnnotations(annotations: Readonly<Record<string, string>> | undefined, w: DescribeWriter): void {
  const shown = Object.entries(annotations ?? {})
    .filter(([key]) => key !== lastApplied)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, value]) =>
      value.includes('\n') || key.length + value.length > longLine
        ? [
            `${key}:`,
            ...value
              .trimEnd()
              .split('\n')
              .map((line) => `  ${line}`),
          ]
        : [`${key}: ${value}`],
    )
  w.list('Annotations', shown)
}

/** The template of a deployment or replica set. */
export function describeTemplate(template: Deployment['spec']['template'] | undefined, w: DescribeWriter): void {
  const spec = template?.spec
  const field = (): string => ''
  w.section('Pod Template', () => {
    w.map('Labels', template?.metadata?.labels)
    if (template?.metadata?.annotations !== undefined) describeAnnotations(template.metadata.annotations, w)
    if (spec?.serviceAccountName !== undefined) w.field('Service Account', spec.serviceAccountName)
    const about = { statuses: undefined, field }
    if ((spec?.initContainers ?? []).length > 0) describeContainers('Init Containers', spec?.initContainers ?? [], about, w)
    describeContainers('Containers', spec?.containers ?? [], about, w)
    describeVolumes(spec ?? {}, w)
    describePlacement(spec ?? {}, w)
  })
}

export function describePlacement({ nodeSelector, tolerations = [] }: DeepReadonly<Partial<PodSpec>>, w: DescribeWriter): void {
  w.map('Node-Selectors', nodeSelector)
  w.list(
    'Tolerations',
    tolerations
      .map(({ key, operator, value, effect, tolerationSeconds }) => {
        const what = `${key ?? ''}${value === undefined || value === '' ? '' : `=${value}`}${effect === undefined ? '' : `:${effect}`}`
        return `${what}${operator === 'Exists' ? ' op=Exists' : ''}${tolerationSeconds === undefined ? '' : ` for ${tolerationSeconds}s`}`
      })
      .sort(),
  )
}

export function describeVolumes({ volumes = [] }: DeepReadonly<Partial<PodSpec>>, w: DescribeWriter): void {
  w.each('Volumes', volumes, () => {
    for (const volume of volumes) w.section(volume.name, () => describeVolume(volume, w))
  })
}

function describeVolume(volume: NonNullable<PodSpec['volumes']>[number], w: DescribeWriter): void {
  const { configMap, secret, hostPath, emptyDir } = volume
  if (configMap !== undefined) {
    w.field('Type', 'ConfigMap (a volume populated by a ConfigMap)')
    w.field('Name', configMap.name)
    w.field('Optional', configMap.optional ?? false)
  } else if (secret !== undefined) {
    w.field('Type', 'Secret (a volume populated by a Secret)')
    w.field('SecretName', secret.secretName)
    w.field('Optional', secret.optional ?? false)
  } else if (hostPath !== undefined) {
    w.field('Type', 'HostPath (bare host directory volume)')
    w.field('Path', hostPath.path)
    w.line(`HostPathType:\t${hostPath.type ?? ''}`)
  } else if (emptyDir !== undefined) {
    w.field('Type', "EmptyDir (a temporary directory that shares a pod's lifetime)")
    w.line(`Medium:\t${emptyDir.medium ?? ''}`)
    w.field('SizeLimit', emptyDir.sizeLimit ?? '<unset>')
  } else {
    const { name: _, ...source } = volume
    const [[type = '', options] = []] = Object.entries(source)
    w.field('Type', `${type} ${JSON.stringify(options)}`)
  }
}
