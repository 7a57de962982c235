import {
  type ChannelInterface,
  type ChannelOptions,
  type ClientDuplexStream,
  connectivityState,
  credentials,
} from '@grpc/grpc-js'
import {
  type AgentMessage,
  type Certificate,
  type ControlMessage,
  NodeAgentClient,
  type StreamDown,
  type StreamUp,
} from '../../api/proto/agent.ts'
import { type AbortOptions, withDeadline } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
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
  /** Resolves when the other end is there or cannot be, if that can be told apart from its first word. */
  connected?(): Promise<void>
  session(): AgentLine
  stream(): ClientDuplexStream<StreamUp, StreamDown>
  close(): void
}

const askDeadlineMs = 15_000
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

/** How a control plane is reached. */
export interface Peer {
  /** `host:port`. */
  readonly address: string
  readonly tls: ClientTls
  /** Name in its certificate, where it is not that of the address. */
  readonly serverName: string | undefined
}

function clientOf({ address, tls, serverName }: Peer): NodeAgentClient {
  const pem = (text: string): Buffer => Buffer.from(text)
  return new NodeAgentClient(address, credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert)), {
    ...channelOptions,
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName }),
  })
}

/** Asks a control plane for a certificate for the key of a signing request. */
export async function askForCertificate(
  peer: Peer,
  csrPem: string,
  { clock, signal }: AbortOptions & { readonly clock: Clock },
): Promise<Certificate> {
  const client = clientOf(peer)
  try {
    return await withDeadline(
      { clock, ms: askDeadlineMs, signal, what: `asking ${peer.address} for a certificate` },
      () =>
        new Promise((resolve, reject) => {
          client.renewCertificate({ csrPem }, (err, certificate) => (err === null ? resolve(certificate) : reject(err)))
        }),
    )
  } finally {
    client.close()
  }
}

export function dial(peer: Peer): Link {
  const client = clientOf(peer)
  return {
    connected: () => settled(client.getChannel()),
    session() {
      const call = client.session()
      const messages = call[Symbol.asyncIterator]()
      let failure: Error | undefined
      call.on('error', (err) => {
        failure ??= err
      })
      return {
        messages: {
          async next() {
            const next = await messages.next()
            // A call that fails ends its stream first.
            if (next.done === true && failure !== undefined) throw failure
            return next
          },
        },
        send: (message, opts) => writeChunk(call, message, opts),
        cancel: () => call.cancel(),
      }
    },
    stream: () => client.stream(),
    close: () => client.close(),
  }
}

/** Resolves when the connection stands or has failed: the call that is made on it then says why. */
function settled(channel: ChannelInterface): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      const state = channel.getConnectivityState(true)
      const isUnderWay = state === connectivityState.IDLE || state === connectivityState.CONNECTING
      if (isUnderWay) channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, look)
      else resolve()
    }
    look()
  })
}
