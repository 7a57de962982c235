import {
  status as codes,
  Server,
  type ServerDuplexStream,
  type ServerErrorResponse,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js'
import {
  type AgentMessage,
  type Certificate,
  type CertificateRequest,
  type ControlMessage,
  NodeAgentService,
} from '../../api/proto/agent.ts'
import { parseTime } from '../../lib/clock.ts'
import { writeChunk } from '../../lib/writable.ts'
import { Denied, type Listen, type SessionLine } from './line.ts'
import type { StreamCall } from './pod-streams.ts'
import { RenewableCredentials, type ServerTls } from './server-tls.ts'

export interface GrpcListenerOptions {
  /** Credentials that the caller holds can be renewed while agents are connected. */
  readonly tls: ServerTls | RenewableCredentials
  /** Signs the key of a node's signing request. Absent: nodes cannot renew their certificates. */
  readonly signNode?: (node: string, csrPem: string) => Promise<Certificate>
  /** `host:port`; port 0 takes a free one, which `port` then gives. */
  readonly address: string
}

type SessionCall = ServerDuplexStream<AgentMessage, ControlMessage>
type CertificateCall = ServerUnaryCall<CertificateRequest, Certificate>

const maxMessageBytes = 64 * 1024 * 1024
const maxSigningRequestBytes = 16_384
const nodePrefix = 'system:node:'

const serverOptions = {
  'grpc.keepalive_time_ms': 5000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': maxMessageBytes,
  'grpc.max_concurrent_streams': 1000,
  // Nobody asks it for its own statistics.
  'grpc.enable_channelz': 0,
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
      renewCertificate: (call: CertificateCall, answer: sendUnaryData<Certificate>) => {
        renew(call, options).then(
          (certificate) => answer(null, certificate),
          (err: unknown) => answer(failureOf(err)),
        )
      },
    })
    const port = await bind(server, options)
    return { port, close: () => server.forceShutdown() }
  }
}

function lineOf(call: SessionCall): SessionLine {
  // Asked for once: it is read from the certificate each time.
  const { sslPeerCertificate } = call.getAuthContext()
  return {
    node: nodeNamed(sslPeerCertificate?.subject.CN),
    certificateEndMs: parseTime(sslPeerCertificate?.valid_to),
    messages: call[Symbol.asyncIterator](),
    send: (message, opts) => writeChunk(call, message, opts),
    onGone(run) {
      call.on('cancelled', run)
      call.on('close', run)
    },
  }
}

function finish(call: SessionCall | StreamCall, err: unknown): void {
  if (!call.cancelled && !call.destroyed) call.emit('error', failureOf(err))
}

function failureOf(err: unknown): ServerErrorResponse & { readonly code: codes; readonly details: string } {
  const code = err instanceof Denied ? codes.PERMISSION_DENIED : codes.UNAVAILABLE
  const message = err instanceof Error ? err.message : String(err)
  return { name: 'Error', code, details: message, message }
}

/** A node gets a certificate for its own name and nothing else: of its request only the key counts. */
async function renew(call: CertificateCall, { signNode }: GrpcListenerOptions): Promise<Certificate> {
  const node = nodeOf(call)
  const { csrPem } = call.request
  if (node === undefined) throw new Denied('the certificate is not that of a node')
  if (signNode === undefined) throw new Denied('certificates are not renewed here')
  if (csrPem.length > maxSigningRequestBytes)
    throw new Denied(`a signing request is at most ${maxSigningRequestBytes} bytes long`)
  try {
    return await signNode(node, csrPem)
  } catch (err) {
    throw new Denied(`cannot sign the request of node "${node}": ${err instanceof Error ? err.message : String(err)}`)
  }
}

function nodeOf(call: StreamCall | CertificateCall): string | undefined {
  return nodeNamed(call.getAuthContext().sslPeerCertificate?.subject.CN)
}

function nodeNamed(name: string | readonly string[] | undefined): string | undefined {
  return typeof name === 'string' && name.startsWith(nodePrefix) ? name.slice(nodePrefix.length) : undefined
}

function bind(server: Server, { address, tls }: GrpcListenerOptions): Promise<number> {
  const credentials = tls instanceof RenewableCredentials ? tls : new RenewableCredentials(tls)
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (err, port) => (err === null ? resolve(port) : reject(err)))
  })
}
