import type { ContainerState } from '../runtime/runtime.ts'
import type { PodContext } from './context.ts'
import { containersOf } from './pod-types.ts'
import { exitCodeOf } from './restart.ts'
import type { SeenPod } from './view.ts'

const maxFileBytes = 4096
const maxLogBytes = 2048
const maxLogLines = 80
const readDeadlineMs = 10_000

/** Termination messages by container id: read once, when a container is first seen dead. */
export class LastWords {
  readonly #texts = new Map<string, string>()

  get(id: string): string | undefined {
    return this.#texts.get(id)
  }

  async read(context: PodContext, seen: SeenPod, signal: AbortSignal): Promise<void> {
    const dead = [...seen.attempts.values()].flatMap((attempts) => attempts.filter(({ isDead }) => isDead))
    const ids = new Set(dead.map(({ state }) => state.id))
    for (const id of this.#texts.keys()) if (!ids.has(id)) this.#texts.delete(id)
    for (const { state } of dead) {
      if (!this.#texts.has(state.id)) this.#texts.set(state.id, await readOne(context, state, signal))
    }
  }
}

async function readOne(context: PodContext, state: ContainerState, signal: AbortSignal): Promise<string> {
  const { pod } = context
  const { container: name, attempt } = state.identity
  const spec = pod === undefined ? undefined : containersOf(pod).find((one) => one.name === name)
  try {
    return await context.deadline(readDeadlineMs, 'last words', signal, async (inner) => {
      const text = await context.deps.volumes.lastWords(context.uid, name, attempt, { signal: inner })
      if (text !== '') return text.slice(0, maxFileBytes)
      const wantsLog = spec?.terminationMessagePolicy === 'FallbackToLogsOnError' && exitCodeOf(state) !== 0
      return wantsLog ? await logTail(context, state.id, inner) : ''
    })
  } catch (err) {
    signal.throwIfAborted()
    context.deps.log.warn('termination message not read', { podUid: context.uid, container: name, err })
    return ''
  }
}

async function logTail({ deps }: PodContext, id: string, signal: AbortSignal): Promise<string> {
  const options = { follow: false, previous: false, timestamps: false, tailLines: maxLogLines }
  let tail = Buffer.alloc(0)
  for await (const { data } of deps.runtime.logs(id, options, { signal })) {
    tail = Buffer.concat([tail, data])
    if (tail.length > maxLogBytes) tail = tail.subarray(tail.length - maxLogBytes)
  }
  return tail.toString('utf8')
}
