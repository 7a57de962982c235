import type { Readable } from 'node:stream'

export interface Frame {
  readonly stream: 'stdout' | 'stderr'
  readonly data: Uint8Array
}

const headerBytes = 8
const stderrStream = 2

/**
 * Splits the engine's multiplexed stream: frames of an 8-byte header (stream, three zeros, length) and data. A frame's
 * data is passed on as it comes, so that no frame, however long, is held in memory. Reads only as fast as it is read.
 */
export async function* demultiplex(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame, void, void> {
  let header: Buffer = Buffer.alloc(0)
  let left = 0
  let stream: Frame['stream'] = 'stdout'
  for await (const chunk of source) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    while (rest.length > 0) {
      if (left > 0) {
        const data = rest.subarray(0, left)
        rest = rest.subarray(data.length)
        left -= data.length
        yield { stream, data }
        continue
      }
      const wanted = headerBytes - header.length
      header = Buffer.concat([header, rest.subarray(0, wanted)])
      rest = rest.subarray(wanted)
      if (header.length < headerBytes) continue
      stream = header[0] === stderrStream ? 'stderr' : 'stdout'
      left = header.readUInt32BE(4)
      header = Buffer.alloc(0)
    }
  }
}

/** A terminal's output comes bare, and is all one stream. */
export async function* bare(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame, void, void> {
  for await (const data of source) yield { stream: 'stdout', data }
}

/** The chunks of a stream; leaving the loop destroys the stream. */
export async function* chunksOf(source: Readable): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
}
