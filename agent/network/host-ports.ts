import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { RuntimeError } from '../runtime/runtime.ts'

/** A port of the node that leads to a port of a pod. */
export interface HostPort {
  readonly protocol: 'TCP' | 'UDP'
  /** Address of the node; undefined: all. */
  readonly hostIp: string | undefined
  readonly hostPort: number
  readonly containerPort: number
}

export interface PodHostPorts {
  readonly ip: string
  readonly ports: readonly HostPort[]
}

/** Which pod has which ports of the node. Rebuilt from the sandboxes' labels. */
export class HostPorts {
  readonly #pods = new Map<string, PodHostPorts>()
  readonly #listeners = new Set<() => void>()

  /** Throws Conflict that names the port when another pod of this node has one of them. */
  reserve(owner: string, pod: PodHostPorts): void {
    for (const port of pod.ports) {
      const holder = this.#holder(port, owner)
      if (holder !== undefined) throw new RuntimeError('Conflict', `${describePort(port)} is taken by another pod on this node`)
    }
    if (pod.ports.length === 0) {
      this.release(owner)
      return
    }
    const before = this.#pods.get(owner)
    if (before?.ip === pod.ip && encodePorts(before.ports) === encodePorts(pod.ports)) return
    this.#pods.set(owner, pod)
    this.#tell()
  }

  release(owner: string): void {
    if (this.#pods.delete(owner)) this.#tell()
  }

  all(): readonly PodHostPorts[] {
    return [...this.#pods.values()]
  }

  /** Calls after each change. */
  subscribe(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  #holder(port: HostPort, owner: string): string | undefined {
    for (const [holder, { ports }] of this.#pods) {
      if (holder !== owner && ports.some((other) => overlaps(port, other))) return holder
    }
    return undefined
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

function overlaps(a: HostPort, b: HostPort): boolean {
  const isSameAddress = a.hostIp === undefined || b.hostIp === undefined || a.hostIp === b.hostIp
  return a.protocol === b.protocol && a.hostPort === b.hostPort && isSameAddress
}

const describePort = ({ protocol, hostPort, hostIp }: HostPort): string =>
  `host port ${hostIp === undefined ? '' : `${hostIp}:`}${hostPort}/${protocol}`

/** Throws Conflict that names the port when a program on the node listens there: the pod would take its traffic away. */
export async function assertPortsFree(ports: readonly HostPort[]): Promise<void> {
  for (const port of ports) {
    const code = await (port.protocol === 'TCP' ? bindTcp(port) : bindUdp(port))
    if (code === undefined) continue
    const why = code === 'EADDRINUSE' ? 'is already in use on this node' : `cannot be used on this node (${code})`
    throw new RuntimeError('Conflict', `${describePort(port)} ${why}`)
  }
}

function bindTcp({ hostIp = '0.0.0.0', hostPort }: HostPort): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (err: NodeJS.ErrnoException) => resolve(err.code ?? err.message))
    server.listen({ host: hostIp, port: hostPort, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

function bindUdp({ hostIp = '0.0.0.0', hostPort }: HostPort): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', (err: NodeJS.ErrnoException) => {
      socket.close()
      resolve(err.code ?? err.message)
    })
    socket.bind({ address: hostIp, port: hostPort, exclusive: true }, () => socket.close(() => resolve(undefined)))
  })
}

/** One text for a label, as in `TCP::8080:80,UDP:10.0.0.1:53:53`. */
export function encodePorts(ports: readonly HostPort[]): string {
  return ports
    .map(({ protocol, hostIp = '', hostPort, containerPort }) => [protocol, hostIp, hostPort, containerPort].join(':'))
    .join(',')
}

export function decodePorts(text: string): readonly HostPort[] {
  return text.split(',').flatMap((item) => {
    const [protocol, hostIp, hostPort, containerPort] = item.split(':')
    if (protocol !== 'TCP' && protocol !== 'UDP') return []
    return [
      { protocol, hostIp: hostIp === '' ? undefined : hostIp, hostPort: Number(hostPort), containerPort: Number(containerPort) },
    ]
  })
}
