import { status as codes, Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'
import { type AgentMessage, type ControlMessage, NodeAgentService } from '../../api/proto/agent.ts'
import { writeChunk } from '../../lib/writable.ts'
import { Denied, type Listen, type SessionLine } from './line.ts'
import type { StreamCall } from './pod-streams.ts'

export interface GrpcListenerOptions {
  /** PEM. Agents must show a certificate of this CA for `system:node:<name>`. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string }
  /** `host:port`; port 0 takes a free one, which `port` then gives. */
  readonly address: string
}

type SessionCall = ServerDuplexStream<AgentMessage, ControlMessage>

const maxMessageBytes = 64 * 1024 * 1024
const nodePrefix = 'system:node:'

const serverOptions = {
  'grpc.keepalive_time_ms': 5000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': maxMessageBytes,
  'grpc.max_concurrent_streams': 1000,
}

/** Agents over gRPC and mutual TLS. */
export function grpcListener(options: GrpcListenerOptions): Listen {
  return async (handlers) => {
    const server = new Server(serverOptions)
    server.addService(NodeAgentService, {
      session: (call: SessionCall) => {
        call.on('error', () => undefined) // Seen by whoever reads or writes.
        handlers.session(lineOf(call)).catch((err: unknown) => finish(call, err))
      },
      stream: (call: StreamCall) => {
        call.on('error', () => undefined) // Seen by whoever reads or writes.
        handlers.stream(nodeOf(call), call).catch((err: unknown) => finish(call, err))
      },
    })
    const port = await bind(server, options)
    return { port, close: () => server.forceShutdown() }
  }
}

function lineOf(call: SessionCall): SessionLine {
  return {
    node: nodeOf(call),
    messages: call[Symbol.asyncIterator](),
    send: (message, opts) => writeChunk(call, message, opts),
    onGone(run) {
      call.on('cancelled', run)
      call.on('close', run)
    },
  }
}

function finish(call: SessionCall | StreamCall, err: unknown): void {
  const code = err instanceof Denied ? codes.PERMISSION_DENIED : codes.UNAVAILABLE
  const details = err instanceof Error ? err.message : String(err)
  if (!call.cancelled && !call.destroyed) call.emit('error', { code, details })
}

function nodeOf(call: SessionCall | StreamCall): string | undefined {
  const { sslPeerCertificate } = call.getAuthContext()
  const name = sslPeerCertificate?.subject.CN
  return typeof name === 'string' && name.startsWith(nodePrefix) ? name.slice(nodePrefix.length) : undefined
}

function bind(server: Server, { address, tls }: GrpcListenerOptions): Promise<number> {
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }
  const credentials = ServerCredentials.createSsl(Buffer.from(tls.ca), [pair], true)
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (err, port) => (err === null ? resolve(port) : reject(err)))
  })
}
