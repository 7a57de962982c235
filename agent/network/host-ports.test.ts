import { createSocket } from 'node:dgram'
import { expect, test } from 'vitest'
import { assertPortsFree, decodePorts, encodePorts, type HostPort, HostPorts } from './host-ports.ts'

const port = (hostPort: number, more: Partial<HostPort> = {}): HostPort => ({
  protocol: 'TCP',
  hostIp: undefined,
  hostPort,
  containerPort: 80,
  ...more,
})

test('ports survive their label', () => {
  const ports = [port(8080), port(53, { protocol: 'UDP', hostIp: '192.0.2.7', containerPort: 5353 })]
  expect(encodePorts(ports)).toBe('TCP::8080:80,UDP:192.0.2.7:53:5353')
  expect(decodePorts(encodePorts(ports))).toEqual(ports)
  expect(decodePorts('')).toEqual([])
  expect(decodePorts('nonsense')).toEqual([])
})

test.each([
  [port(80), port(80), true],
  [port(80), port(81), false],
  [port(80), port(80, { protocol: 'UDP' }), false],
  [port(80), port(80, { hostIp: '192.0.2.7' }), true],
  [port(80, { hostIp: '192.0.2.8' }), port(80, { hostIp: '192.0.2.7' }), false],
])('%j and %j collide: %s', (a, b, isTaken) => {
  const hostPorts = new HostPorts()
  hostPorts.reserve('a/0', { ip: '10.0.0.2', ports: [a] })
  const reserve = () => hostPorts.reserve('b/0', { ip: '10.0.0.3', ports: [b] })
  if (isTaken) expect(reserve).toThrow('is taken by another pod on this node')
  else expect(reserve).not.toThrow()
})

test('listeners hear of changes, and of nothing else', () => {
  const hostPorts = new HostPorts()
  let calls = 0
  const subscription = hostPorts.subscribe(() => calls++)
  const pod = { ip: '10.0.0.2', ports: [port(80)] }
  hostPorts.reserve('a/0', pod)
  hostPorts.reserve('a/0', { ...pod })
  hostPorts.reserve('b/0', { ip: '10.0.0.3', ports: [] })
  expect(calls).toBe(1)
  hostPorts.release('a/0')
  hostPorts.release('a/0')
  expect(calls).toBe(2)
  expect(hostPorts.all()).toEqual([])
  subscription[Symbol.dispose]()
  hostPorts.reserve('a/0', pod)
  expect(calls).toBe(2)
})

test('a UDP port that a program has is found taken, by name', async () => {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '0.0.0.0', resolve))
  const taken = port(socket.address().port, { protocol: 'UDP' })
  await expect(assertPortsFree([taken])).rejects.toMatchObject({
    code: 'Conflict',
    message: `host port ${taken.hostPort}/UDP is already in use on this node`,
  })
  await new Promise<void>((resolve) => socket.close(resolve))
  await expect(assertPortsFree([taken])).resolves.toBeUndefined()
})
