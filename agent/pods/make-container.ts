import type { Sandbox } from '../contracts.ts'
import { type ContainerState, type Mount, RuntimeError } from '../runtime/runtime.ts'
import { containerSpec } from './container-spec.ts'
import { messageOf, type PodContext } from './context.ts'
import { ConfigError } from './env.ts'
import { type Container, namespaceOf, type Pod } from './pod-types.ts'
import { serviceEnv } from './service-env.ts'
import type { CreateStep } from './step.ts'

const callDeadlineMs = 120_000
const lookDeadlineMs = 30_000
const shownErrorMs = 1_000

/**
 * The containers that a step made or started, when it changed no others: the id of one, or the states of all where those
 * are known already. Undefined when anything may have changed.
 */
export type Touched = string | readonly ContainerState[] | undefined

/** Makes the container and starts it. What stands in the way is noted with the reason that Kubernetes gives. */
export async function makeContainer(context: PodContext, pod: Pod, step: CreateStep, signal: AbortSignal): Promise<Touched> {
  const { sandbox } = context.memory
  if (sandbox === undefined) throw new Error('there must be a sandbox before a container is made')
  const made = await createContainer(context, { pod, sandbox, step }, signal)
  return made === undefined ? undefined : await startContainer(context, made, signal)
}

interface CreateFacts {
  readonly pod: Pod
  readonly sandbox: Sandbox
  readonly step: CreateStep
}

/** Makes the container, to be started when its sandbox is there. Undefined when it was not made. */
export async function createContainer(
  context: PodContext,
  facts: CreateFacts,
  signal: AbortSignal,
): Promise<StartTarget | undefined> {
  const { container } = facts.step
  const gate = context.memory.ungated.has(container.name) ? undefined : facts.sandbox.hostname
  let id: string
  try {
    id = await create(context, facts, gate !== undefined, signal)
  } catch (err) {
    signal.throwIfAborted()
    createFailed(context, container, err)
    return undefined
  }
  context.event('Normal', 'Created', `Created container: ${container.name}`, container.name)
  return { id, container, gate }
}

async function create(context: PodContext, facts: CreateFacts, isGated: boolean, signal: AbortSignal): Promise<string> {
  const { deps, memory } = context
  const { pod, sandbox, step } = facts
  const { container, attempt, role, streak } = step
  const image = memory.images.get(container.name)
  if (image === undefined) throw new Error('the image must be there before a container is made')
  return await context.deadline(callDeadlineMs, 'create', signal, async (inner) => {
    const opts = { signal: inner }
    const files = deps.podFiles(pod, sandbox.ip, deps.volumes.filesFolder(context.uid))
    const [mounts, gate, terminationLog] = await Promise.all([
      volumeMounts(context, container, inner),
      isGated ? deps.sandboxes.gate(opts) : undefined,
      deps.volumes.terminationLog(context.uid, container.name, attempt, opts),
    ])
    const { spec, skipped } = containerSpec({
      pod,
      container,
      role,
      next: { attempt, streak },
      sandbox,
      configs: deps.desired,
      image: image.info,
      node: deps.node,
      serviceEnv: serviceEnv(deps.services?.() ?? [], {
        namespace: namespaceOf(pod),
        links: pod.spec.enableServiceLinks !== false,
      }),
      volumeMounts: mounts,
      ...{ files, gate, terminationLog },
    })
    for (const { source, keys } of skipped) {
      const message = `Keys [${keys.join(', ')}] from the EnvFrom ${source} were skipped since they are considered invalid environment variable names.`
      context.event('Warning', 'InvalidEnvironmentVariableNames', message, container.name)
    }
    return await deps.runtime.create(spec, opts)
  })
}

async function volumeMounts(context: PodContext, container: Container, signal: AbortSignal): Promise<readonly Mount[]> {
  const mounts: Mount[] = []
  const readOnlyNames = writtenByUs(context.pod)
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const volumePath = context.memory.volumePaths?.get(mount.name)
    if (volumePath === undefined)
      throw new ConfigError(`volume "${mount.name}" of the mount at ${mount.mountPath} is not defined`)
    const place = { podUid: context.uid, container: container.name, index }
    const { subPath = '' } = mount
    const source = subPath === '' ? volumePath : await context.deps.volumes.subPath(place, volumePath, subPath, { signal })
    mounts.push({ source, target: mount.mountPath, readOnly: mount.readOnly === true || readOnlyNames.has(mount.name) })
  }
  return mounts
}

/** Volumes that this agent writes: a container may not write into them. */
const writtenByUs = (pod: Pod | undefined): ReadonlySet<string> =>
  new Set(
    (pod?.spec.volumes ?? [])
      .filter(({ configMap, secret, downwardAPI, projected }) => configMap ?? secret ?? downwardAPI ?? projected)
      .map(({ name }) => name),
  )

function createFailed(context: PodContext, { name }: Container, err: unknown): void {
  if (err instanceof RuntimeError && err.code === 'ImageNotFound') {
    context.memory.images.delete(name) // It was taken away meanwhile: fetched again by its pull policy.
    context.wait(`container/${name}`, 'CreateContainerError', err.message)
    return
  }
  const reason = err instanceof ConfigError ? err.reason : 'CreateContainerError'
  context.event('Warning', 'Failed', `Error: ${messageOf(err)}`, name)
  context.wait(`container/${name}`, reason, messageOf(err))
}

export interface StartTarget {
  readonly id: string
  readonly container: Container
  /** The host name for which its gate waits; undefined without a gate. */
  readonly gate: string | undefined
}

export async function startContainer(context: PodContext, target: StartTarget, signal: AbortSignal): Promise<Touched> {
  const { id, container, gate } = target
  const { name } = container
  try {
    if (container.lifecycle?.postStart !== undefined) context.memory.postStart.set(id, 'pending')
    await context.deadline(callDeadlineMs, 'start', signal, (inner) => context.deps.runtime.start(id, { signal: inner }))
  } catch (err) {
    signal.throwIfAborted()
    if (gate !== undefined && err instanceof RuntimeError && err.code === 'CannotRun') {
      await withoutGate(context, id, name, signal)
      return undefined
    }
    const message = `failed to start container "${name}": ${messageOf(err)}`
    context.event('Warning', 'Failed', `Error: ${message}`, name)
    if (err instanceof RuntimeError && err.code === 'CannotRun') cannotRun(context, name, message)
    else context.wait(`container/${name}`, 'RunContainerError', message)
    return undefined
  }
  context.event('Normal', 'Started', `Started container ${name}`, name)
  context.clear(`container/${name}`)
  context.clear(`image/${name}`)
  return gate === undefined ? id : await named(context, id, gate, signal)
}

/** The container waits at its gate, so it gets its host name while the engine is asked about it. */
async function named(context: PodContext, id: string, hostname: string, signal: AbortSignal): Promise<Touched> {
  const { runtime, sandboxes } = context.deps
  const [state, isNamed] = await Promise.all([
    context.deadline(lookDeadlineMs, 'look', signal, (inner) => runtime.state(id, { signal: inner })),
    context.deadline(lookDeadlineMs, 'name', signal, (inner) => sandboxes.nameEarly(id, hostname, { signal: inner })),
  ])
  if (isNamed) context.memory.named.add(id)
  return state && [state]
}

/** Whether it is the gate's fault or the container's is seen when the same is made without a gate, at once. */
async function withoutGate(context: PodContext, id: string, name: string, signal: AbortSignal): Promise<void> {
  context.memory.ungated.add(name)
  const { runtime } = context.deps
  await context.deadline(callDeadlineMs, 'remove', signal, (inner) => runtime.remove(id, { signal: inner }))
}

/** The engine's state says it from now on, and the back-off of crashes holds; the error itself is shown for a moment. */
function cannotRun(context: PodContext, name: string, message: string): void {
  const untilMs = context.deps.clock.monotonicMs() + shownErrorMs
  context.memory.waits.set(`container/${name}`, { reason: 'RunContainerError', message, untilMs })
}
