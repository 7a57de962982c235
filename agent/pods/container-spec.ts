import type { NodeFacts, Sandbox } from '../contracts.ts'
import { limitsOf } from '../resources/limits.ts'
import type { ContainerRole, ContainerSpec, ImageInfo, Mount } from '../runtime/runtime.ts'
import { type Configs, type Environment, environment } from './env.ts'
import { expand } from './expand.ts'
import { type Container, graceMsOf, nameOf, namespaceOf, type Pod, uidOf } from './pod-types.ts'
import type { NextAttempt } from './restart.ts'
import { capabilities, identityOf } from './security.ts'
import { specHash } from './spec-hash.ts'
import { annotationKeys } from './view.ts'

export interface ContainerInput {
  readonly pod: Pod
  readonly container: Container
  readonly role: ContainerRole
  readonly next: NextAttempt
  readonly sandbox: Sandbox
  readonly configs: Configs
  readonly image: ImageInfo
  readonly node: NodeFacts
  /** Variables that tell where services are. */
  readonly serviceEnv: Readonly<Record<string, string>>
  /** Mounts of the pod's volumes for this container, from `volumeMounts`. */
  readonly volumeMounts: readonly Mount[]
  /** /etc/hosts and the like. */
  readonly files: readonly Mount[]
  /** Program of the gate, where the sandbox was prepared ahead; undefined to make the container without one. */
  readonly gate: string | undefined
  /** Host file for the container's last words. */
  readonly terminationLog: string | undefined
}

export interface BuiltSpec {
  readonly spec: ContainerSpec
  readonly skipped: Environment['skipped']
}

export const defaultTerminationMessagePath = '/dev/termination-log'

/** Everything the engine has to know of a container. Throws ConfigError that names what is missing. */
export function containerSpec(input: ContainerInput): BuiltSpec {
  const { pod, container, sandbox } = input
  const { env, skipped } = environment(container, {
    pod,
    node: input.node,
    podIp: sandbox.ip,
    configs: input.configs,
    base: input.serviceEnv,
  })
  const hostNetwork = pod.spec.hostNetwork === true
  const security = container.securityContext
  const lookUp = (name: string): string | undefined => env.get(name)
  const gate = gateOf(input, { command: words(container.command, lookUp), args: words(container.args, lookUp) })
  const spec: ContainerSpec = {
    identity: identity(input),
    image: container.image ?? '',
    command: words(container.command, lookUp),
    args: words(container.args, lookUp),
    ...(gate !== undefined && { gate }),
    env: [...hostnameVariable(input, env), ...[...env].map(([name, value]) => ({ name, value }))],
    workingDir: container.workingDir,
    mounts: mounts(input),
    sandboxId: hostNetwork ? undefined : sandbox.containerId,
    processesOf: pod.spec.shareProcessNamespace === true ? sandbox.containerId : undefined,
    hostNetwork,
    hostname: undefined,
    ...limitsOf(container),
    stdin: container.stdin === true,
    tty: container.tty === true,
    ...identityOf(pod, container, input.image),
    privileged: security?.privileged === true,
    readOnlyRootFilesystem: security?.readOnlyRootFilesystem === true,
    capabilitiesAdd: capabilities(security?.capabilities?.add),
    capabilitiesDrop: capabilities(security?.capabilities?.drop),
    noNewPrivileges: security?.allowPrivilegeEscalation === false,
    shmBytes: undefined,
    sysctls: {},
    annotations: {
      [annotationKeys.sandbox]: sandbox.containerId,
      [annotationKeys.streak]: String(input.next.streak),
      [annotationKeys.graceMs]: String(graceMsOf(pod)),
      ...(gate !== undefined && { [annotationKeys.gate]: gate.hostname }),
    },
  }
  return { spec, skipped }
}

const words = (
  given: readonly string[] | undefined,
  lookUp: (name: string) => string | undefined,
): readonly string[] | undefined => given?.map((word) => expand(word, lookUp))

/** The command that the engine would run, behind the gate. Without any the engine refuses the container, in its words. */
function gateOf(
  { image, sandbox, gate }: ContainerInput,
  { command = [], args = [] }: { readonly command: readonly string[] | undefined; readonly args: readonly string[] | undefined },
): ContainerSpec['gate'] {
  if (gate === undefined || sandbox.hostname === undefined) return undefined
  // A command of the pod's takes the place of the image's arguments, too.
  const whole = command.length > 0 ? [...command, ...args] : [...image.entrypoint, ...(args.length > 0 ? args : image.command)]
  return whole.length === 0 ? undefined : { hostname: sandbox.hostname, program: gate, command: whole }
}

/** The engine would name the sandbox as it was prepared. What image and pod set wins, as ever. */
function hostnameVariable({ sandbox, image }: ContainerInput, env: ReadonlyMap<string, string>): ContainerSpec['env'] {
  if (sandbox.hostname === undefined || env.has('HOSTNAME') || image.variables.includes('HOSTNAME')) return []
  return [{ name: 'HOSTNAME', value: sandbox.hostname }]
}

function identity({ pod, container, role, next }: ContainerInput): ContainerSpec['identity'] {
  return {
    podUid: uidOf(pod),
    podNamespace: namespaceOf(pod),
    podName: nameOf(pod),
    role,
    container: container.name,
    attempt: next.attempt,
    specHash: specHash(container),
  }
}

/** Volumes first; a file of ours gives way where the pod mounts something of its own at the same place. */
function mounts({ container, volumeMounts, files, terminationLog }: ContainerInput): readonly Mount[] {
  const target = container.terminationMessagePath ?? defaultTerminationMessagePath
  const ours = [...files, ...(terminationLog === undefined ? [] : [{ source: terminationLog, target, readOnly: false }])]
  const taken = new Set(volumeMounts.map((mount) => mount.target))
  return [...volumeMounts, ...ours.filter((mount) => !taken.has(mount.target))]
}
