import type { Slots } from '../../lib/slots.ts'
import { type ImageInfo, RuntimeError } from '../runtime/runtime.ts'
import { messageOf, type PodContext } from './context.ts'
import { isImageRef } from './image-ref.ts'
import type { Container } from './pod-types.ts'
import { pullAuth } from './pull-auth.ts'

/** A failed pull shows ErrImagePull for so long, then ImagePullBackOff. */
const freshErrorMs = 2_000
/** A pull that makes no end. */
const pullDeadlineMs = 3_600_000
const inspectDeadlineMs = 30_000
/** Between looks for an image that is not to be pulled. */
const neverPullRetryMs = 10_000
/** Between looks, while pulls back off, whether the image has come in another way. */
const lookRetryMs = 10_000

/** Limits how many pulls the node does at a time. */
export type PullSlots = Pick<Slots, 'run'>

/** Brings the container's image by its pull policy, and notes that it is there or why not. */
export async function fetchImage(
  context: PodContext,
  { container, attempt, slots }: { readonly container: Container; readonly attempt: number; readonly slots: PullSlots },
  signal: AbortSignal,
): Promise<void> {
  const { name } = container
  const image = container.image ?? ''
  if (!isImageRef(image)) {
    invalidName(context, name, image)
    return
  }
  try {
    const info = await obtain(context, container, image, slots, signal)
    if (info === undefined) return
    context.memory.images.set(name, { image, attempt, info })
    context.memory.waits.delete(`image/${name}`)
    context.backoffs.image.forget(`${context.uid}/${image}`)
  } catch (err) {
    signal.throwIfAborted()
    pullFailed(context, container, image, err)
  }
}

async function obtain(
  context: PodContext,
  container: Container,
  image: string,
  slots: PullSlots,
  signal: AbortSignal,
): Promise<ImageInfo | undefined> {
  const policy = container.imagePullPolicy ?? 'IfNotPresent'
  const look = (): Promise<ImageInfo | undefined> =>
    context.deadline(inspectDeadlineMs, 'image', signal, (inner) => context.deps.runtime.image(image, { signal: inner }))
  const present = policy === 'Always' ? undefined : await look()
  if (present !== undefined) {
    const message = `Container image "${image}" already present on machine`
    context.event('Normal', 'Pulled', message, container.name)
    return present
  }
  if (policy === 'Never') {
    neverPull(context, container.name, image)
    return undefined
  }
  if (isBackingOff(context, container.name)) return undefined
  await pull(context, container.name, image, slots, signal)
  const pulled = await look()
  if (pulled === undefined) throw new RuntimeError('ImageNotFound', 'the image was pulled but is not there')
  return pulled
}

/** Whether the next pull has to wait; then it goes on waiting. */
function isBackingOff({ memory, deps }: PodContext, name: string): boolean {
  const wait = memory.waits.get(`image/${name}`)
  const nowMs = deps.clock.monotonicMs()
  if (wait?.pullAtMs === undefined || wait.pullAtMs <= nowMs) return false
  memory.waits.set(`image/${name}`, { ...wait, untilMs: Math.min(wait.pullAtMs, nowMs + lookRetryMs) })
  return true
}

async function pull(context: PodContext, name: string, image: string, slots: PullSlots, signal: AbortSignal): Promise<void> {
  const { runtime, clock, desired } = context.deps
  const askedMs = clock.monotonicMs()
  context.event('Normal', 'Pulling', `Pulling image "${image}"`, name)
  const auth = context.pod === undefined ? undefined : pullAuth(context.pod, image, desired)
  let startedMs = askedMs
  await slots.run({ signal }, async () => {
    startedMs = clock.monotonicMs()
    await context.deadline(pullDeadlineMs, 'pull', signal, (inner) => runtime.pull(image, auth, { signal: inner }))
  })
  const endedMs = clock.monotonicMs()
  const [took, waited] = [endedMs - startedMs, endedMs - askedMs].map((ms) => `${(ms / 1000).toFixed(3)}s`)
  context.event('Normal', 'Pulled', `Successfully pulled image "${image}" in ${took} (${waited} including waiting)`, name)
}

function invalidName(context: PodContext, name: string, image: string): void {
  const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`
  context.event('Warning', 'InspectFailed', message, name)
  context.event('Warning', 'Failed', 'Error: InvalidImageName', name)
  const untilMs = context.deps.clock.monotonicMs() + neverPullRetryMs
  context.memory.waits.set(`image/${name}`, { reason: 'InvalidImageName', message, untilMs })
}

function neverPull(context: PodContext, name: string, image: string): void {
  const message = `Container image "${image}" is not present with pull policy of Never`
  context.event('Warning', 'ErrImageNeverPull', message, name)
  context.event('Warning', 'Failed', 'Error: ErrImageNeverPull', name)
  const untilMs = context.deps.clock.monotonicMs() + neverPullRetryMs
  context.memory.waits.set(`image/${name}`, { reason: 'ErrImageNeverPull', message, untilMs })
}

function pullFailed(context: PodContext, { name, imagePullPolicy }: Container, image: string, err: unknown): void {
  const { clock } = context.deps
  const message = `failed to pull image "${image}": ${messageOf(err)}`
  context.event('Warning', 'Failed', `Failed to pull image "${image}": ${messageOf(err)}`, name)
  context.event('Warning', 'Failed', 'Error: ErrImagePull', name)
  const nowMs = clock.monotonicMs()
  const pullAtMs = nowMs + context.backoffs.image.next(`${context.uid}/${image}`)
  const untilMs = imagePullPolicy === 'Always' ? pullAtMs : Math.min(pullAtMs, nowMs + lookRetryMs)
  const then = { atMs: nowMs + freshErrorMs, reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}"` }
  context.memory.waits.set(`image/${name}`, { reason: 'ErrImagePull', message, untilMs, pullAtMs, then })
}
