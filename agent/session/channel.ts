import { type ChannelOptions, type ClientDuplexStream, credentials } from '@grpc/grpc-js'
import { type AgentMessage, type ControlMessage, NodeAgentClient, type StreamDown, type StreamUp } from '../../api/proto/agent.ts'
import type { AbortOptions } from '../../lib/async.ts'
import { writeChunk } from '../../lib/writable.ts'

/** PEM. */
export interface ClientTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A session's two directions, whatever carries them. */
export interface AgentLine {
  readonly messages: AsyncIterator<ControlMessage>
  /** Resolves when the line takes more. Rejects when it is gone. */
  send(message: AgentMessage, opts: AbortOptions): Promise<void>
  cancel(): void
}

/** A dialled control plane: gRPC, or memory in the simulator. */
export interface Link {
  session(): AgentLine
  stream(): ClientDuplexStream<StreamUp, StreamDown>
  close(): void
}

const maxMessageBytes = 64 * 1024 * 1024

/** Without keep-alive a peer that froze or vanished is never noticed (measured); 5 s + 5 s is well below the grace period. */
const channelOptions: ChannelOptions = {
  'grpc.keepalive_time_ms': 5000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.http2.max_pings_without_data': 0,
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': maxMessageBytes,
  // Reconnecting is ours to pace: across several control planes, with jitter.
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
}

export function dial(address: string, tls: ClientTls, serverName: string | undefined): Link {
  const pem = (text: string): Buffer => Buffer.from(text)
  const client = new NodeAgentClient(address, credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert)), {
    ...channelOptions,
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName }),
  })
  return {
    session() {
      const call = client.session()
      call.on('error', () => undefined) // The reader gets it too.
      return {
        messages: call[Symbol.asyncIterator](),
        send: (message, opts) => writeChunk(call, message, opts),
        cancel: () => call.cancel(),
      }
    },
    stream: () => client.stream(),
    close: () => client.close(),
  }
}
