import { type ChannelOptions, credentials } from '@grpc/grpc-js'
import { NodeAgentClient } from '../../api/proto/agent.ts'

/** PEM. */
export interface ClientTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
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

export function dial(address: string, tls: ClientTls, serverName: string | undefined): NodeAgentClient {
  const pem = (text: string): Buffer => Buffer.from(text)
  return new NodeAgentClient(address, credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert)), {
    ...channelOptions,
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName }),
  })
}
