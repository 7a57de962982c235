import type { Readable } from 'node:stream'

export interface Frame {
  readonly stream: 'stdout' | 'stderr'
  readonly data: Uint8Array
}

const headerBytes = 8
const stderrStream = 2

/**
 * Splits the engine's multiplexed stream: frames of an 8-byte header (stream, three zeros, length) and data. The engine
 * makes a frame of each line; what came together is passed on together, for every piece costs a message on the way to
 * the reader. Nothing waits for more to come, so that no frame, however long, is held in memory.
 */
export async function* demultiplex(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame, void, void> {
  const parser = new FrameParser()
  for await (const chunk of source) yield* joined(parser.take(chunk))
}

class FrameParser {
  #header: Buffer = Buffer.alloc(0)
  #left = 0
  #stream: Frame['stream'] = 'stdout'

  #takeHeader(rest: Buffer): Buffer {
    const part = rest.subarray(0, headerBytes - this.#header.length)
    const header = this.#header.length === 0 ? part : Buffer.concat([this.#header, part])
    this.#header = header
    if (header.length === headerBytes) {
      this.#stream = header[0] === stderrStream ? 'stderr' : 'stdout'
      this.#left = header.readUInt32BE(4)
      this.#header = Buffer.alloc(0)
    }
    return rest.subarray(part.length)
  }

  *take(chunk: Uint8Array): Generator<Frame, void, void> {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    while (rest.length > 0) {
      if (this.#left > 0) {
        const data = rest.subarray(0, this.#left)
        rest = rest.subarray(data.length)
        this.#left -= data.length
        yield { stream: this.#stream, data }
      } else rest = this.#takeHeader(rest)
    }
  }
}

/** Neighbours of the same stream as one. */
function* joined(frames: Iterable<Frame>): Generator<Frame, void, void> {
  let stream: Frame['stream'] = 'stdout'
  let parts: Uint8Array[] = []
  for (const frame of frames) {
    if (frame.stream !== stream && parts.length > 0) {
      yield { stream, data: whole(parts) }
      parts = []
    }
    stream = frame.stream
    parts.push(frame.data)
  }
  if (parts.length > 0) yield { stream, data: whole(parts) }
}

const whole = (parts: readonly Uint8Array[]): Uint8Array => {
  const [first] = parts
  return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts)
}

/** A terminal's output comes bare, and is all one stream. */
export async function* bare(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame, void, void> {
  for await (const data of source) yield { stream: 'stdout', data }
}

/** The chunks of a stream; leaving the loop destroys the stream. */
export async function* chunksOf(source: Readable): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
}
