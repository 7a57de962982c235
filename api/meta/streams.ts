/** Streams into a pod (log, exec): what the API server asks of the gateway, which asks the pod's agent. */
export interface ContainerRef {
  readonly namespace: string
  readonly pod: string
  readonly uid: string
  readonly node: string
  readonly container: string
}

/** v1.PodLogOptions. */
export interface LogOptions {
  readonly follow: boolean
  readonly previous: boolean
  readonly timestamps: boolean
  readonly tailLines?: number
  readonly limitBytes?: number
  /** Epoch milliseconds. */
  readonly sinceMs?: number
}

/** v1.PodExecOptions. */
export interface ExecOptions {
  readonly command: readonly string[]
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
}

export type ExecInput =
  | { readonly type: 'stdin'; readonly data: Uint8Array }
  | { readonly type: 'stdinEnd' }
  | { readonly type: 'resize'; readonly width: number; readonly height: number }

export type ExecOutput =
  | { readonly type: 'stdout'; readonly data: Uint8Array }
  | { readonly type: 'stderr'; readonly data: Uint8Array }
  /** The last one. */
  | { readonly type: 'exit'; readonly code: number }

/**
 * Both honour back-pressure: the next chunk is fetched when the last has been taken. Leaving the loop or aborting ends
 * the remote side too. Failures are StatusErrors (the node is away, no such container, no such file).
 */
export interface PodStreams {
  log(ref: ContainerRef, options: LogOptions, opts: { readonly signal: AbortSignal }): AsyncIterable<Uint8Array>
  exec(
    ref: ContainerRef,
    options: ExecOptions,
    input: AsyncIterable<ExecInput>,
    opts: { readonly signal: AbortSignal },
  ): AsyncIterable<ExecOutput>
}
