import type { ContainerSpec } from '../runtime.ts'

/** What a container of the hollow runtime does. Times are milliseconds after its start, or after SIGTERM. */
export interface Behaviour {
  /** Ends by itself after this; without it, it runs until stopped. */
  readonly exitAfterMs?: number
  readonly exitCode?: number
  readonly isOomKilled?: boolean
  /** The engine can't start it, in these words. */
  readonly startError?: string
  /** How long it takes to end after SIGTERM; `ignores` waits for SIGKILL. Default: at once. */
  readonly onTerm?: number | 'ignores'
  /** Exit code after SIGTERM. */
  readonly termExitCode?: number
  /** What it prints. */
  readonly log?: string
  readonly errorLog?: string
}

export type Script = (spec: ContainerSpec) => Behaviour

/** Runs until stopped. */
export const runsForever: Script = () => ({})

export type Call = 'list' | 'create' | 'adopt' | 'start' | 'stop' | 'remove' | 'pull' | 'image' | 'exec'

/** What goes wrong with a call: it fails without effect, fails after its effect, or never answers (with or without effect). */
export type Fault = 'fails' | 'answerLost' | 'hangs' | 'hangsAfterEffect'

export type Faults = (call: Call, what: string) => Fault | undefined

export interface ExecResult {
  readonly output?: string
  readonly exitCode?: number
  readonly afterMs?: number
}

export interface HollowImage {
  readonly ref: string
  readonly user?: string
}

export interface HollowOptions {
  readonly script?: Script
  readonly faults?: Faults
  /** What is there before anything is pulled. */
  readonly images?: readonly HollowImage[]
  /** What a pull finds: an image, or why there is none. Default: every image is there. */
  readonly registry?: (ref: string) => HollowImage | { readonly error: string; readonly isMissing?: boolean }
  readonly exec?: (containerName: string, command: readonly string[], image: string) => ExecResult
  readonly pullMs?: number
}
