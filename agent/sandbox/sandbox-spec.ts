import { createHash } from 'node:crypto'
import type { Pod } from '../../api/kinds/pod.ts'
import { encodePorts, type HostPort } from '../network/host-ports.ts'
import type { ContainerSpec } from '../runtime/runtime.ts'

/** Labels by which a sandbox's address and ports are found again. */
export const annotationKeys = { ip: 'ip', hostPorts: 'host-ports', network: 'network' } as const

/** The annotation of a sandbox that made its network itself. */
export const ownNetwork = 'own'

export interface SandboxInput {
  readonly pod: Pod
  readonly attempt: number
  readonly image: string
  /** Undefined with the host's network. */
  readonly ip: string | undefined
  /** The sandbox's own program makes its network namespace, not the engine. */
  readonly leavesNetwork?: boolean
}

/** The engine sets the kernel settings of a network namespace only where it made that. */
export const needsEngineNetwork = (pod: Pod): boolean =>
  pod.spec.hostNetwork === true || (pod.spec.securityContext?.sysctls ?? []).length > 0

export function podUidOf(pod: Pod): string {
  return pod.metadata.uid ?? ''
}

/** The container that owns a pod's namespaces. */
export function sandboxSpec({ pod, attempt, image, ip, leavesNetwork = false }: SandboxInput): ContainerSpec {
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
    args: leavesNetwork ? [ownNetwork] : undefined,
    env: [],
    workingDir: undefined,
    mounts: [],
    sandboxId: undefined,
    processesOf: undefined,
    hostNetwork: hostNetwork || leavesNetwork,
    leavesNetwork,
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
      ...(leavesNetwork && { [annotationKeys.network]: ownNetwork }),
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
