import { type AddressInfo, createServer, type Server as NetServer } from 'node:net'
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
import { type Clock, parseTime } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Turns } from '../../lib/slots.ts'
import { writeChunk } from '../../lib/writable.ts'
import { Arrivals } from './arrivals.ts'
import { Denied, type Listen, type SessionLine } from './line.ts'
import type { StreamCall } from './pod-streams.ts'
import { RenewableCredentials, type ServerTls } from './server-tls.ts'

export interface GrpcListenerOptions {
  /** Credentials that the caller holds can be renewed while agents are connected. */
  readonly tls: ServerTls | RenewableCredentials
  /** Signs the key of a node's signing request. Absent: nodes cannot renew their certificates. */
  readonly signNode?: (node: string, csrPem: string) => Promise<Certificate>
  readonly host: string
  /** 0 takes a free one, which the listener then gives. */
  readonly port: number
  readonly clock: Clock
  readonly log: Log
  /** Handshakes begin only while a turn is young. */
  readonly turns?: Turns | undefined
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

/** More than all agents, which may come back together: the kernel keeps them until they are accepted. */
const backlog = 4_096

/** Agents over gRPC and mutual TLS. Rejects when the address cannot be listened at. */
export function grpcListener(options: GrpcListenerOptions): Listen {
  return async (handlers) => {
    const server = new Server(serverOptions)
    const { tls, clock, turns } = options
    const credentials = tls instanceof RenewableCredentials ? tls : new RenewableCredentials(tls)
    const injector = server.createConnectionInjector(credentials)
    const arrivals = new Arrivals({ admit: (socket) => injector.injectConnection(socket), clock, turns })
    server.addService(NodeAgentService, {
      session: (call: SessionCall) => {
        arrivals.arrived(call.getPeer())
        call.on('error', () => undefined) // Seen by whoever reads or writes.
        handlers.session(lineOf(call)).catch((err: unknown) => finish(call, err))
      },
      stream: (call: StreamCall) => {
        arrivals.arrived(call.getPeer())
        call.on('error', () => undefined) // Seen by whoever reads or writes.
        handlers.stream(nodeOf(call), call).catch((err: unknown) => finish(call, err))
      },
      renewCertificate: (call: CertificateCall, answer: sendUnaryData<Certificate>) => {
        arrivals.arrived(call.getPeer())
        renew(call, options).then(
          (certificate) => answer(null, certificate),
          (err: unknown) => answer(failureOf(err)),
        )
      },
    })
    const door = createServer({ noDelay: true }, (socket) => arrivals.add(socket))
    const port = await listen(door, options)
    return {
      port,
      close() {
        door.close()
        arrivals.close()
        server.forceShutdown()
      },
    }
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

function listen(door: NetServer, { host, port, log }: GrpcListenerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    door.once('error', reject)
    door.listen({ host, port, backlog }, () => {
      door.off('error', reject)
      // What cannot be accepted is tried again by the agent.
      door.on('error', (err) => log.warn('a connection of an agent could not be accepted', { err }))
      resolve((door.address() as AddressInfo).port)
    })
  })
}
