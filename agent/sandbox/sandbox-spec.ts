import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import type { Pod } from '../../api/kinds/pod.ts'
import { encodePorts, type HostPort } from '../network/host-ports.ts'
import { gatePath } from '../runtime/gate-path.ts'
import { type ContainerSpec, isSpareUid, spareUidPrefix } from '../runtime/runtime.ts'

/** Labels by which a sandbox's address and ports are found again. */
export const annotationKeys = { ip: 'ip', hostPorts: 'host-ports', network: 'network', spare: 'spare' } as const

/** The annotation of a sandbox of an older agent that made its network itself. */
export const ownNetwork = 'own'

export interface SandboxInput {
  readonly pod: Pod
  readonly attempt: number
  readonly image: string
  /** Undefined with the host's network. */
  readonly ip: string | undefined
}

/** A pod that is none, of which a sandbox is made that any pod can take. */
export const sparePod = (id: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'spare', namespace: '', uid: `${spareUidPrefix}${id}` },
  spec: { containers: [] },
})

/** Whether a sandbox that was prepared without knowing the pod is as good as one made for it. */
export function canTakeSpare(pod: Pod): boolean {
  const { hostNetwork, shareProcessNamespace, securityContext, containers, initContainers = [] } = pod.spec
  if (hostNetwork === true || shareProcessNamespace === true) return false
  if ((securityContext?.sysctls ?? []).length > 0 || hostPortsOf(pod).length > 0) return false
  // There the gate lies.
  const mounts = [...containers, ...initContainers].flatMap(({ volumeMounts = [] }) => volumeMounts)
  return !mounts.some(({ mountPath }) => posix.relative(mountPath, gatePath).split('/')[0] !== '..')
}

export function podUidOf(pod: Pod): string {
  return pod.metadata.uid ?? ''
}

/** The container that owns a pod's namespaces. */
export function sandboxSpec({ pod, attempt, image, ip }: SandboxInput): ContainerSpec {
  const hostNetwork = pod.spec.hostNetwork === true
  const ports = hostPortsOf(pod)
  return {
    identity: {
      podUid: podUidOf(pod),
      podNamespace: pod.metadata.namespace ?? '',
      podName: pod.metadata.name ?? '',
      role: 'sandbox',
      container: 'POD',
      attempt,
      specHash: createHash('sha256').update(image).digest('hex').slice(0, 16),
    },
    image,
    command: undefined,
    args: undefined,
    env: [],
    workingDir: undefined,
    mounts: [],
    sandboxId: undefined,
    processesOf: undefined,
    hostNetwork,
    bareNetwork: !hostNetwork,
    // Whoever shares the process table could have the waiting program do what the filter forbids.
    unfiltered: pod.spec.shareProcessNamespace !== true,
    hostname: hostNetwork ? undefined : hostnameOf(pod),
    // The least there is: it only waits.
    cpuShares: 2,
    cpuLimitMicro: undefined,
    memoryLimitBytes: undefined,
    stdin: false,
    tty: false,
    user: undefined,
    groups: [],
    privileged: false,
    readOnlyRootFilesystem: true,
    capabilitiesAdd: [],
    capabilitiesDrop: ['ALL'],
    noNewPrivileges: true,
    shmBytes: undefined,
    sysctls: Object.fromEntries((pod.spec.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value])),
    annotations: {
      ...(ip !== undefined && { [annotationKeys.ip]: ip }),
      ...(isSpareUid(podUidOf(pod)) && { [annotationKeys.spare]: podUidOf(pod) }),
      ...(ports.length > 0 && { [annotationKeys.hostPorts]: encodePorts(ports) }),
    },
  }
}

/** As Kubernetes: the name of the pod unless it says otherwise, cut to what the kernel takes. */
export function hostnameOf(pod: Pod): string {
  return (pod.spec.hostname ?? pod.metadata.name ?? '').slice(0, 63).replace(/[-.]+$/, '')
}

/** With the host's network containers listen on the node themselves. */
export function hostPortsOf(pod: Pod): readonly HostPort[] {
  if (pod.spec.hostNetwork === true) return []
  return pod.spec.containers.flatMap((container) =>
    (container.ports ?? []).flatMap(({ hostPort, hostIP, protocol, containerPort }) =>
      hostPort === undefined || hostPort === 0
        ? []
        : [
            {
              protocol: protocol === 'UDP' ? ('UDP' as const) : ('TCP' as const),
              hostIp: hostIP === undefined || hostIP === '' || hostIP === '0.0.0.0' ? undefined : hostIP,
              hostPort,
              containerPort,
            },
          ],
    ),
  )
}
