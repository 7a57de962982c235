/** Where commands write. Nothing else in ctl touches the terminal. */
export interface Output {
  readonly isTty: boolean
  line(text?: string): void
  /** Text as it is, without a line end. */
  write(text: string | Uint8Array): void
  /** What a program in a container wrote to its standard error. */
  writeError(data: Uint8Array): void
  /** For what is not the answer: warnings, progress, errors. */
  note(text: string): void
}

export function streamOutput(stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream): Output {
  return {
    isTty: stdout.isTTY === true,
    line: (text = '') => void stdout.write(`${text}\n`),
    write: (text) => void stdout.write(text),
    writeError: (data) => void stderr.write(data),
    note: (text) => void stderr.write(`${text}\n`),
  }
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
