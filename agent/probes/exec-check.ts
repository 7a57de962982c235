import type { ExecInput } from '../../api/meta/streams.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Runtime } from '../runtime/runtime.ts'

/** What is kept of a command's output. */
const maxOutputBytes = 10 * 1024

/** Runs a command in a container to its end. Output beyond a limit is read and dropped. */
export async function runCommand(
  runtime: Pick<Runtime, 'exec'>,
  containerId: string,
  command: readonly string[],
  opts: AbortOptions,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const options = { command, stdin: false, stdout: true, stderr: true, tty: false }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const piece of runtime.exec(containerId, options, noInput(), opts)) {
    opts.signal.throwIfAborted()
    if (piece.type === 'exit') return { exitCode: piece.code, output: Buffer.concat(chunks).toString('utf8').trim() }
    const room = maxOutputBytes - size
    if (room > 0) chunks.push(piece.data.subarray(0, room))
    size += Math.min(piece.data.length, Math.max(room, 0))
  }
  opts.signal.throwIfAborted()
  throw new Error('the command ended without an exit code')
}

async function* noInput(): AsyncGenerator<ExecInput, void, void> {
  // Nothing is ever written to the command.
}
