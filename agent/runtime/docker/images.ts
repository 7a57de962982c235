import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { type AbortOptions, TimeoutError } from '../../../lib/async.ts'
import type { Clock } from '../../../lib/clock.ts'
import { type ImageInfo, type RegistryAuth, RuntimeError } from '../runtime.ts'
import { type Engine, readable } from './engine.ts'
import { pullError, runtimeError, statusOf } from './errors.ts'
import { list, number, text, texts } from './read.ts'

const callMs = 15_000
const importMs = 60_000
/** A pull may take long, but not stand still. */
const pullIdleMs = 120_000
const pullStartMs = 60_000

export async function inspectImage(engine: Engine, ref: string, { signal }: AbortOptions): Promise<ImageInfo | undefined> {
  const what = `inspect image "${ref}"`
  try {
    const raw = await engine.get({ what, ms: callMs, signal }, `/images/${checkedRef(ref)}/json`)
    return {
      id: text(raw, 'Id'),
      tags: texts(raw, 'RepoTags'),
      digests: texts(raw, 'RepoDigests'),
      sizeBytes: number(raw, 'Size') ?? 0,
      user: text(raw, 'Config', 'User'),
      entrypoint: texts(raw, 'Config', 'Entrypoint'),
      command: texts(raw, 'Config', 'Cmd'),
      variables: texts(raw, 'Config', 'Env').map((variable) => variable.split('=', 1)[0] ?? ''),
    }
  } catch (err) {
    signal.throwIfAborted()
    if (statusOf(err) === 404) return undefined
    throw runtimeError(what, err)
  }
}

/** The list says nothing of what containers are made from: that is empty here. */
export async function listImages(engine: Engine, { signal }: AbortOptions): Promise<readonly ImageInfo[]> {
  const what = 'list images'
  const all = await engine.get({ what, ms: callMs, signal }, '/images/json').catch((err: unknown) => {
    signal.throwIfAborted()
    throw runtimeError(what, err)
  })
  return list(all).map((raw) => ({
    id: text(raw, 'Id'),
    tags: texts(raw, 'RepoTags').filter((tag) => tag !== '<none>:<none>'),
    digests: texts(raw, 'RepoDigests').filter((digest) => !digest.startsWith('<none>')),
    sizeBytes: number(raw, 'Size') ?? 0,
    ...{ user: '', entrypoint: [], command: [], variables: [] },
  }))
}

export async function pullImage(
  { engine, clock }: { engine: Engine; clock: Clock },
  { ref, auth }: { ref: string; auth: RegistryAuth | undefined },
  { signal }: AbortOptions,
): Promise<void> {
  const what = `pull image "${ref}"`
  try {
    const fromImage = withTag(checkedRef(ref))
    const options = auth === undefined ? {} : { authconfig: { ...auth, serveraddress: auth.serverAddress } }
    const stream = await engine.raw({ what, ms: pullStartMs, signal }, async (docker, abortSignal) =>
      readable(await docker.createImage({ ...options, fromImage, abortSignal })),
    )
    await drainProgress(stream, { what, idleMs: pullIdleMs, clock, signal })
  } catch (err) {
    signal.throwIfAborted()
    throw pullError(ref, err)
  }
}

export interface ImportOptions {
  readonly tag: string
  readonly tar: Uint8Array
  readonly entrypoint: readonly string[]
}

export async function importTar(
  { engine, clock }: { engine: Engine; clock: Clock },
  { tag, tar, entrypoint }: ImportOptions,
  { signal }: AbortOptions,
): Promise<void> {
  if ((await inspectImage(engine, tag, { signal })) !== undefined) return
  const what = `import image "${tag}"`
  const [repo = tag, version = 'latest'] = splitTag(tag)
  try {
    const stream = await engine.raw({ what, ms: importMs, signal }, async (docker, abortSignal) => {
      const options = { repo, tag: version, changes: [`ENTRYPOINT ${JSON.stringify(entrypoint)}`], abortSignal }
      return readable(await docker.importImage(Readable.from([tar]), options))
    })
    await drainProgress(stream, { what, idleMs: importMs, clock, signal })
  } catch (err) {
    signal.throwIfAborted()
    throw runtimeError(what, err)
  }
}

interface DrainOptions {
  readonly what: string
  readonly idleMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Reads progress lines to their end; the engine reports failures among them, under a 200. */
async function drainProgress(stream: Readable, { what, idleMs, clock, signal }: DrainOptions): Promise<void> {
  let failure: unknown
  const stop = (): void => void stream.destroy(signal.reason)
  const arm = (): Disposable =>
    clock.after(idleMs, () => stream.destroy(new TimeoutError(`${what}: no progress for ${idleMs} ms`)))
  let timer = arm()
  signal.addEventListener('abort', stop, { once: true })
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
  stream.once('error', (err) => {
    failure ??= err
    lines.close()
  })
  try {
    for await (const line of lines) {
      timer[Symbol.dispose]()
      timer = arm()
      failure ??= failureIn(line)
    }
  } finally {
    timer[Symbol.dispose]()
    signal.removeEventListener('abort', stop)
    stream.destroy()
  }
  signal.throwIfAborted()
  if (failure !== undefined) throw failure
}

function failureIn(line: string): Error | undefined {
  let raw: unknown
  try {
    raw = JSON.parse(line)
  } catch {
    return undefined // Progress only.
  }
  const said = text(raw, 'errorDetail', 'message') || text(raw, 'error')
  return said === '' ? undefined : new Error(said)
}

/** The engine's client would put anything into the path of the request. */
function checkedRef(ref: string): string {
  if (/^[\w][\w.\-/:@]{0,1023}$/.test(ref) && !ref.includes('//') && !ref.includes('..')) return ref
  throw new RuntimeError('InvalidSpec', `image "${ref}" is not a valid image reference`)
}

/** Without a tag or digest the engine would pull every tag there is. */
export function withTag(ref: string): string {
  return ref.includes('@') || splitTag(ref).length === 2 ? ref : `${ref}:latest`
}

/** A colon before the last slash belongs to the registry's port. */
function splitTag(ref: string): readonly string[] {
  const colon = ref.lastIndexOf(':')
  return colon > ref.lastIndexOf('/') ? [ref.slice(0, colon), ref.slice(colon + 1)] : [ref]
}
