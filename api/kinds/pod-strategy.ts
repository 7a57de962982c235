import type { Strategy } from './define.ts'
import type { PodLike } from './pod-columns.ts'
import { checkPodSpec } from './pod-spec/check-pod-spec.ts'
import { checkPodSpecUpdate } from './pod-spec/check-update.ts'
import { defaultPodOnly, defaultPodSpec } from './pod-spec/defaults.ts'
import type { PodSpec } from './pod-spec/pod-spec.ts'
import { qosClassOf } from './pod-spec/qos.ts'
import { checkMeta, withStatus } from './rules.ts'

export const podStrategy: Strategy<PodLike> = {
  default: (pod) => ({ ...pod, spec: defaultPodOnly(defaultPodSpec(pod.spec)) }),
  prepareForCreate(pod) {
    const spec = admitted(pod.spec)
    return withStatus({ ...pod, spec }, { phase: 'Pending', qosClass: qosClassOf(spec) })
  },
  prepareForUpdate: (pod, old) => withStatus(pod, old.status),
  validate: (pod) => [...checkMeta(pod), ...checkPodSpec('spec', pod.spec)],
  validateUpdate: (pod, old) => [...checkPodSpecUpdate('spec', pod.spec, old.spec)],
  deleteGraceSeconds(pod) {
    const phase = pod.status?.phase
    // Nothing runs: there is nobody who would have to be given time.
    if ((pod.spec.nodeName ?? '') === '' || phase === 'Succeeded' || phase === 'Failed') return 0
    return pod.spec.terminationGracePeriodSeconds ?? 30
  },
  selectableFields: {
    'spec.nodeName': (pod) => pod.spec.nodeName ?? '',
    'spec.restartPolicy': (pod) => pod.spec.restartPolicy ?? '',
    'spec.schedulerName': (pod) => pod.spec.schedulerName ?? '',
    'spec.serviceAccountName': (pod) => pod.spec.serviceAccountName ?? '',
    'spec.hostNetwork': (pod) => String(pod.spec.hostNetwork ?? false),
    'status.phase': (pod) => pod.status?.phase ?? '',
    'status.podIP': (pod) => pod.status?.podIP ?? '',
    'status.nominatedNodeName': (pod) => pod.status?.nominatedNodeName ?? '',
  },
}

/** Seconds that a pod stays bound to a node that is not ready or cannot be reached, unless it says otherwise. */
const lostNodeSeconds = 300
const lostNodeTaints = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'] as const

/** What Kubernetes' admission gives each new pod. */
function admitted(spec: PodSpec): PodSpec {
  const account = spec.serviceAccountName ?? 'default'
  const given = spec.tolerations ?? []
  const isBorne = (key: string) =>
    given.some((one) => ((one.key ?? '') === '' || one.key === key) && ['', 'NoExecute'].includes(one.effect ?? ''))
  const added = lostNodeTaints
    .filter((key) => !isBorne(key))
    .map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: lostNodeSeconds }) as const)
  return {
    ...spec,
    serviceAccountName: account,
    serviceAccount: account,
    priority: spec.priority ?? 0,
    tolerations: [...given, ...added],
  }
}
