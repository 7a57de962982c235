import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DesiredStore, openDesiredStore } from '../../agent/desired/desired-store.ts'
import type { StreamSources } from '../../agent/session/pod-stream.ts'
import { createSession, type Session, type SessionOptions } from '../../agent/session/session.ts'
import type { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { nodeIdentity } from '../../api/meta/request.ts'
import type { EventSubject, EventText } from '../../client/events.ts'
import { createInformers } from '../../client/informers.ts'
import { createGateway, type Gateway, type GatewayOptions } from '../../controlplane/gateway/gateway.ts'
import { grpcListener } from '../../controlplane/gateway/grpc-listener.ts'
import { RenewableCredentials, type ServerTls } from '../../controlplane/gateway/server-tls.ts'
import { Authority, type CertificateRequest, type KeyPair } from '../../controlplane/pki/authority.ts'
import { createWorld, type World } from '../../controlplane/testing/world.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { systemRandom } from '../../lib/random.ts'

export interface Bed extends AsyncDisposable {
  readonly world: World<Clock>
  readonly gateway: Gateway
  readonly serverTls: ServerTls
  readonly authority: Authority
  /** Of the gateway; they outlive its restarts. */
  readonly credentials: RenewableCredentials
  /** Of the gateway. */
  readonly address: string
  readonly events: { subject: EventSubject; event: EventText }[]
  /** Ends the gateway and starts another on the same port, as a control plane that restarts. */
  restart(over?: Partial<GatewayOptions>): Promise<void>
  stopGateway(): Promise<void>
  agent(
    node: string,
    over?: Partial<SessionOptions> & { readonly certFor?: string; readonly folder?: string },
  ): Promise<TestAgent>
  pod(name: string, node: string, spec?: object): Promise<Pod>
}

export interface TestAgent {
  readonly session: Session
  readonly desired: DesiredStore
  readonly folder: string
  stop(): Promise<void>
}

const noStreams: StreamSources = {
  runtime: {
    logs: () => {
      throw new Error('no runtime here')
    },
    exec: () => {
      throw new Error('no runtime here')
    },
  },
  containerId: async () => 'none',
}

/** A gateway over the real registry on a memory store, and agents' sessions with it, over mTLS on loopback. */
export async function createBed(): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-link-'))
  const deps = { clock: systemClock, random: systemRandom, log: silentLog }
  const authority = await Authority.loadOrCreate(folder, 'ca', deps)
  const server = await authority.issue({ commonName: 'gateway', usages: ['server'], dnsNames: ['localhost'], ips: ['127.0.0.1'] })
  const credentials = new RenewableCredentials({ ca: authority.cert, ...server })
  const world = await createWorld({ clock: systemClock })
  const informers = createInformers({ ...deps, client: world.client })
  const events: Bed['events'] = []
  const stops: (() => Promise<void>)[] = []
  const start = async (over: Partial<GatewayOptions>, port: number) => {
    const listen = grpcListener({
      tls: credentials,
      host: '127.0.0.1',
      port,
      clock: systemClock,
      log: silentLog,
      signNode: async (node, csrPem) => ({
        certPem: await authority.issueFor(csrPem, nodeRequest(node)),
        caPem: authority.cert,
      }),
    })
    const gateway = createGateway(listen, {
      ...deps,
      client: world.client,
      clientFor: (node) => world.as(nodeIdentity(node)),
      informers,
      events: { record: (subject, event) => void events.push({ subject, event }) },
      clusterUid: 'cluster-1',
      epoch: () => 3,
      clusterCidr: '10.42.0.0/16',
      serviceCidr: '10.43.0.0/16',
      heartbeatMs: 200,
      metrics: createMetrics('skiff_'),
      ...over,
    })
    return { gateway, ...running((signal) => gateway.run(signal)) }
  }
  let current = await start({}, 0)
  stops.push(() => current.stop())
  for (const service of informers.services) stops.push(running((signal) => service.run(signal)).stop)
  await informers.waitForSync({ signal: world.signal })
  const port = await eventually(() => current.gateway.port ?? fail('not listening'))
  const certs = new Map<string, KeyPair>()
  return {
    world,
    authority,
    credentials,
    get address() {
      return `127.0.0.1:${port}`
    },
    events,
    serverTls: { ca: authority.cert, ...server },
    get gateway() {
      return current.gateway
    },
    stopGateway: () => current.stop(),
    async restart(over = {}) {
      await current.stop()
      current = await start(over, port)
      await eventually(() => current.gateway.port ?? fail('not listening'))
    },
    async agent(node, { certFor = node, folder: own, ...over } = {}) {
      const pair = certs.get(certFor) ?? (await authority.issue(nodeRequest(certFor)))
      certs.set(certFor, pair)
      const checkpoint = own ?? (await mkdtemp(join(folder, 'agent-')))
      const desired = await openDesiredStore({ ...deps, folder: checkpoint })
      const session = createSession({
        ...deps,
        node,
        version: 'test',
        addresses: [`127.0.0.1:${port}`],
        tls: () => ({ ca: authority.cert, ...pair }),
        serverName: 'localhost',
        desired,
        nodeObject: async () => nodeObject(node),
        streams: noStreams,
        metrics: createMetrics('skiff_'),
        ...over,
      })
      const { stop } = running((signal) => session.run(signal))
      const stopAll = async (): Promise<void> => {
        await stop()
        await desired.flush()
      }
      stops.unshift(stopAll)
      return { session, desired, folder: checkpoint, stop: stopAll }
    },
    pod: (name, node, spec = {}) =>
      world.client.create(
        Pod,
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name, namespace: 'default' },
          spec: { containers: [{ name: 'c', image: 'i' }], nodeName: node, ...spec },
        },
        { signal: world.signal },
      ),
    async [Symbol.asyncDispose]() {
      for (const stop of stops) await stop()
      await world[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const nodeRequest = (name: string): CertificateRequest => ({
  commonName: `system:node:${name}`,
  usages: ['client'],
  organizations: ['system:nodes'],
})

const nodeObject = (name: string): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'kubernetes.io/hostname': name } },
  status: { capacity: { cpu: '2', memory: '4Gi', pods: '110' }, addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
})

function running(run: (signal: AbortSignal) => Promise<void>): { stop: () => Promise<void> } {
  const controller = new AbortController()
  const ended = run(controller.signal).catch(() => undefined)
  return {
    stop: async () => {
      controller.abort(new Error('stopped'))
      await ended
    },
  }
}

export function fail(why: string): never {
  throw new Error(why)
}

/** Tries until `look` throws no more; then gives what it gave. */
export async function eventually<T>(look: () => T | Promise<T>, ms = 8000): Promise<T> {
  const end = systemClock.monotonicMs() + ms
  for (;;) {
    try {
      return await look()
    } catch (err) {
      if (systemClock.monotonicMs() > end) throw err
      await new Promise<void>((resolve) => systemClock.after(10, resolve))
    }
  }
}
