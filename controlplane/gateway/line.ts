import type { AgentMessage, ControlMessage } from '../../api/proto/agent.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { StreamCall } from './pod-streams.ts'

/** A session's two directions, whatever carries them. */
export interface SessionLine {
  /** Whose certificate it is; undefined where it is not that of a node. */
  readonly node: string | undefined
  /** Of the certificate that the agent has shown, in epoch milliseconds. */
  readonly certificateEndMs?: number | undefined
  readonly messages: AsyncIterator<AgentMessage>
  /** Resolves when the line takes more. Rejects when it is gone. */
  send(message: ControlMessage, opts: AbortOptions): Promise<void>
  /** Calls when the agent or the connection is gone. */
  onGone(run: () => void): void
}

/** Each runs as long as its call, and rejects with why it ended. */
export interface LineHandlers {
  session(line: SessionLine): Promise<void>
  stream(node: string | undefined, call: StreamCall): Promise<void>
}

/** What agents dial: gRPC, or memory in the simulator. */
export interface Listener {
  /** undefined where there is none. */
  readonly port: number | undefined
  close(): void
}
export type Listen = (handlers: LineHandlers) => Promise<Listener>

/** What a client gets to know as PERMISSION_DENIED. */
export class Denied extends Error {
  override readonly name = 'Denied'
}
