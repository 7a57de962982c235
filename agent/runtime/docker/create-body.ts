import type { ContainerCreateOptions, HostConfig } from 'dockerode'
import { gatePath } from '../gate-path.ts'
import type { ContainerSpec, Mount } from '../runtime.ts'
import { capabilityNames, type HostRights } from './host-rights.ts'
import { containerName, labelsOf } from './labels.ts'

export interface CreateOptions {
  readonly owner: string
  readonly rights: HostRights
  readonly logMaxBytes: number
  readonly logMaxFiles: number
  /** Most processes of one container; keeps a fork bomb inside. */
  readonly pidsLimit: number
  /** Parent of the containers' cgroups; the engine's own when absent. */
  readonly cgroupParent: string | undefined
}

/** The engine's period; a limit of half a core is 50 ms of each 100. */
const cpuPeriodUs = 100_000
/** Engines of API 1.41 refuse the capabilities after AUDIT_READ, which their `ALL` does not mean either. */
const knownToEngines = 38
/** The engine refuses less. */
const minCpuQuotaUs = 1_000

/** The body of a create call. These fields and no others: what a pod may ask for is decided above. */
export function createBody(spec: ContainerSpec, options: CreateOptions): ContainerCreateOptions & { name: string } {
  return {
    name: containerName(spec.identity),
    Image: spec.image,
    ...words(spec),
    ...(spec.bareNetwork === true && { NetworkDisabled: true }),
    ...(spec.hostname !== undefined && { Hostname: spec.hostname }),
    ...(spec.workingDir !== undefined && { WorkingDir: spec.workingDir }),
    ...(spec.user !== undefined && { User: spec.user }),
    Env: spec.env.map(({ name, value }) => `${name}=${value}`),
    Labels: labelsOf(options.owner, spec.identity, spec.annotations),
    OpenStdin: spec.stdin,
    Tty: spec.tty,
    // Probes are the pod's; the image's own health check would only burn processes.
    Healthcheck: { Test: ['NONE'] },
    HostConfig: hostConfig(spec, options),
  }
}

function words({ command, args, gate }: ContainerSpec): Pick<ContainerCreateOptions, 'Entrypoint' | 'Cmd'> {
  if (gate !== undefined) return { Entrypoint: [gatePath, gate.hostname], Cmd: [...gate.command] }
  return { ...(hasWords(command) && { Entrypoint: [...command] }), ...(hasWords(args) && { Cmd: [...args] }) }
}

function hasWords(words: readonly string[] | undefined): words is readonly string[] {
  return words !== undefined && words.length > 0
}

function hostConfig(spec: ContainerSpec, options: CreateOptions): HostConfig {
  return {
    ...namespaces(spec),
    ...(spec.processesOf !== undefined && { PidMode: `container:${spec.processesOf}` }),
    ...limits(spec),
    ...rights(spec, options.rights),
    // The Mounts form takes any path as it is and never makes a missing source; the short form splits at colons.
    Mounts: [...spec.mounts, ...gateMount(spec)].map(({ source, target, readOnly }) => ({
      Type: 'bind' as const,
      Source: source,
      Target: target,
      ReadOnly: readOnly,
      // Propagation is left to the engine: rprivate, but rslave for a path that holds its own folder, such as `/`.
    })),
    ReadonlyRootfs: spec.readOnlyRootFilesystem,
    GroupAdd: [...spec.groups],
    PidsLimit: options.pidsLimit,
    ...(options.cgroupParent !== undefined && { CgroupParent: options.cgroupParent }),
    // Restarts are the agent's, by the pod's policy.
    RestartPolicy: { Name: 'no' },
    LogConfig: {
      Type: 'json-file',
      Config: { 'max-size': String(options.logMaxBytes), 'max-file': String(options.logMaxFiles) },
    },
  }
}

function gateMount({ gate }: ContainerSpec): readonly Mount[] {
  return gate === undefined ? [] : [{ source: gate.program, target: gatePath, readOnly: true }]
}

function namespaces(spec: ContainerSpec): HostConfig {
  const sysctls = Object.keys(spec.sysctls).length > 0 ? { Sysctls: { ...spec.sysctls } } : {}
  const shm = spec.shmBytes === undefined ? {} : { ShmSize: spec.shmBytes }
  if (spec.sandboxId !== undefined) {
    return { NetworkMode: `container:${spec.sandboxId}`, IpcMode: `container:${spec.sandboxId}` }
  }
  const network = spec.hostNetwork ? 'host' : 'none'
  return { NetworkMode: network, IpcMode: spec.identity.role === 'sandbox' ? 'shareable' : 'private', ...sysctls, ...shm }
}

function limits(spec: ContainerSpec): HostConfig {
  const memory = spec.memoryLimitBytes
  const quota = spec.cpuLimitMicro === undefined ? undefined : Math.round((spec.cpuLimitMicro * cpuPeriodUs) / 1_000_000)
  return {
    ...(spec.cpuShares !== undefined && { CpuShares: spec.cpuShares }),
    ...(quota !== undefined && { CpuPeriod: cpuPeriodUs, CpuQuota: Math.max(quota, minCpuQuotaUs) }),
    // Memory and swap together at the same limit: no swap, as in Kubernetes.
    ...(memory !== undefined && { Memory: memory, MemorySwap: memory }),
  }
}

function rights(spec: ContainerSpec, { missingCapabilities }: HostRights): HostConfig {
  const security = [
    ...(spec.noNewPrivileges ? ['no-new-privileges'] : []),
    ...(spec.unfiltered === true && !spec.privileged ? ['seccomp=unconfined'] : []),
  ]
  if (spec.privileged) {
    if (missingCapabilities.length === 0) return { Privileged: true, SecurityOpt: security }
    return loweredPrivileges(missingCapabilities, security)
  }
  return {
    CapAdd: withoutMissing(spec.capabilitiesAdd, missingCapabilities),
    CapDrop: spec.capabilitiesDrop.map(bare),
    SecurityOpt: security,
  }
}

/**
 * `Privileged` asks for every capability, and no container starts with one that the host lacks: give the others, the
 * devices and the open view of the kernel one by one.
 */
function loweredPrivileges(missing: readonly string[], security: readonly string[]): HostConfig {
  return {
    CapAdd: withoutMissing(['ALL'], missing),
    SecurityOpt: [...security, 'seccomp=unconfined', 'apparmor=unconfined'],
    DeviceCgroupRules: ['a *:* rwm'],
    MaskedPaths: [],
    ReadonlyPaths: [],
  }
}

function withoutMissing(wanted: readonly string[], missing: readonly string[]): string[] {
  const names = wanted.map(bare)
  if (missing.length === 0) return names
  const all = names.includes('ALL') ? capabilityNames.slice(0, knownToEngines) : names
  return all.filter((name) => !missing.includes(name))
}

const bare = (name: string): string => name.toUpperCase().replace(/^CAP_/, '')
