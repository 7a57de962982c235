import type { LogOptions } from '../../../api/meta/streams.ts'
import type { AbortOptions } from '../../../lib/async.ts'
import { bare, chunksOf, demultiplex, type Frame } from './demux.ts'
import type { Engine } from './engine.ts'
import { runtimeError } from './errors.ts'
import { isTrue } from './read.ts'

const openMs = 15_000

/** A container's output so far, and what follows when asked for. Read from the engine as fast as it is taken. */
export async function* containerLogs(
  engine: Engine,
  id: string,
  options: LogOptions,
  { signal }: AbortOptions,
): AsyncGenerator<Frame, void, void> {
  const call = { what: `read logs of container ${id.slice(0, 12)}`, ms: openMs, signal }
  const inspect: unknown = await engine.call(call, (docker, abortSignal) => docker.getContainer(id).inspect({ abortSignal }))
  const stream = await engine.open(call, `/containers/${encodeURIComponent(id)}/logs`, query(options))
  try {
    const chunks = chunksOf(stream)
    const frames = isTrue(inspect, 'Config', 'Tty') ? bare(chunks) : demultiplex(chunks)
    yield* limited(frames, options.limitBytes)
  } catch (err) {
    signal.throwIfAborted()
    throw runtimeError(call.what, err)
  } finally {
    stream.destroy()
  }
  // An abort ends the stream without an error of its own.
  signal.throwIfAborted()
}

function query(options: LogOptions): Record<string, string> {
  return {
    stdout: '1',
    stderr: '1',
    follow: options.follow ? '1' : '0',
    timestamps: options.timestamps ? '1' : '0',
    tail: options.tailLines === undefined ? 'all' : String(Math.max(0, Math.trunc(options.tailLines))),
    ...(options.sinceMs !== undefined && { since: (Math.max(0, options.sinceMs) / 1000).toFixed(3) }),
  }
}

async function* limited(frames: AsyncIterable<Frame>, limitBytes: number | undefined): AsyncGenerator<Frame, void, void> {
  if (limitBytes === undefined) return yield* frames
  let left = limitBytes
  if (left <= 0) return
  for await (const frame of frames) {
    if (frame.data.length >= left) {
      yield { stream: frame.stream, data: frame.data.subarray(0, left) }
      return
    }
    left -= frame.data.length
    yield frame
  }
}
