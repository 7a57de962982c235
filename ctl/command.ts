import type { PodStreams } from '../api/meta/streams.ts'
import type { Client } from '../client/client.ts'
import type { AbortOptions } from '../lib/async.ts'
import type { Clock } from '../lib/clock.ts'
import type { FlagDefs, FlagValues } from './flags.ts'
import type { Output } from './output.ts'

/** A cluster as a command sees it. */
export interface Connection {
  readonly client: Client
  readonly streams: Pick<PodStreams, 'log' | 'exec'>
  readonly server: string
  /** GETs a path of the server that is no object, such as /version. */
  get(path: string, opts: AbortOptions): Promise<unknown>
  post(path: string, body: unknown, opts: AbortOptions): Promise<unknown>
  /** What is shown to the server, PEM. */
  readonly clientCertificate: string | undefined
  /** The namespace of `-n`, or of the kubeconfig's context, or `default`. */
  readonly namespace: string
  /** It was given by `-n`: what names another namespace is a mistake. */
  readonly isNamespaceGiven: boolean
}

export interface Context extends AbortOptions {
  readonly out: Output
  readonly clock: Clock
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  /** Reads the kubeconfig; nothing is sent yet. */
  connect(): Connection
}

export interface Input<F extends FlagDefs> {
  readonly args: readonly string[]
  /** What stood after `--`. */
  readonly rest: readonly string[]
  readonly flags: FlagValues<F>
}

/** One command of ctl: one file in `commands/`, one line in `commands/registry.ts`. */
export interface CommandDef<F extends FlagDefs = FlagDefs> {
  /** With its parent, as in `rollout status`. */
  readonly name: string
  readonly summary: string
  /** How the arguments are written in the help, as in `[TYPE[/NAME] ...]`. */
  readonly args?: string
  readonly flags: F
  readonly examples?: readonly string[]
  /** Gives the exit code; nothing is 0. */
  run(input: Input<F>, context: Context): Promise<number | undefined>
}

export function defineCommand<const F extends FlagDefs>(command: CommandDef<F>): CommandDef {
  return command as unknown as CommandDef
}
