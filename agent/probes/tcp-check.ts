import { connect } from 'node:net'
import type { AbortOptions } from '../../lib/async.ts'
import type { Probe } from '../pods/pod-types.ts'
import { type CheckPlace, type CheckResult, failed, passed, portOf } from './http-check.ts'

type TcpSocket = NonNullable<Probe['tcpSocket']>

/** Being accepted is success; the connection is closed at once. */
export async function tcpCheck(
  { port, host }: TcpSocket,
  { podIp, ports }: CheckPlace,
  { signal }: AbortOptions,
): Promise<CheckResult> {
  const number = portOf(port, ports)
  if (number === undefined) return failed(`couldn't find port "${port}"`)
  const address = host === undefined || host === '' ? podIp : host
  return await new Promise((resolve, reject) => {
    const socket = connect({ host: address, port: number, signal })
    socket.once('connect', () => {
      socket.destroy()
      resolve(passed)
    })
    socket.on('error', (err) => {
      socket.destroy()
      if (signal.aborted) reject(signal.reason)
      else resolve(failed(`dial tcp ${address}:${number}: ${err.message}`))
    })
  })
}
