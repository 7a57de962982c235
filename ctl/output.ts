import { once } from 'node:events'

/** Where commands write. Nothing else in ctl touches the terminal. */
export interface Output {
  line(text?: string): void
  /** Without a line end. A text is ours, and is made safe for a terminal; bytes are a program's, and pass as they are. */
  write(text: string | Uint8Array): void
  /** What a program in a container wrote to its standard error. */
  writeError(data: Uint8Array): void
  /** For what is not the answer: warnings, progress, errors. */
  note(text: string): void
  /** When the readers of both streams have caught up; for those who write without end. */
  flushed(): Promise<void>
}

type Stream = Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'writableNeedDrain' | 'writable'> & NodeJS.EventEmitter

export function streamOutput(stdout: Stream, stderr: Stream): Output {
  const out = new Backlog(stdout)
  const err = new Backlog(stderr)
  const shown = (text: string, { isTTY }: Stream): string => (isTTY === true ? safeForTerminal(text) : text)
  return {
    line: (text = '') => void stdout.write(`${shown(text, stdout)}\n`),
    write: (text) => void stdout.write(typeof text === 'string' ? shown(text, stdout) : text),
    writeError: (data) => void stderr.write(data),
    note: (text) => void stderr.write(`${shown(text, stderr)}\n`),
    async flushed() {
      await Promise.all([out.caughtUp(), err.caughtUp()])
    },
  }
}

/** What a stream has not passed on yet. Many may wait for it, with one listener between them. */
class Backlog {
  readonly #stream: Stream
  #waiting: Promise<void> | undefined

  constructor(stream: Stream) {
    this.#stream = stream
  }

  caughtUp(): Promise<void> {
    if (!this.#stream.writableNeedDrain || !this.#stream.writable) return Promise.resolve()
    this.#waiting ??= this.#drained().finally(() => {
      this.#waiting = undefined
    })
    return this.#waiting
  }

  async #drained(): Promise<void> {
    const either = new AbortController()
    const events = ['drain', 'close'].map((event) => once(this.#stream, event, { signal: either.signal }))
    // A stream that fails has nobody left to wait for.
    await Promise.race(events).catch(() => undefined)
    either.abort()
    await Promise.allSettled(events)
  }
}

/** Names, labels and messages come from others, and could move the cursor or write anew what stands there (CVE-2021-25743). */
export function safeForTerminal(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (char) => {
    const code = char.charCodeAt(0)
    return code < 0x20 ? `^${String.fromCharCode(code + 0x40)}` : `\\x${code.toString(16)}`
  })
}

/** Ends a command with a message for the user and an exit code; no stack is shown. */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly exitCode: number
  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}
