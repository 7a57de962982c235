import { Server, ServerCredentials } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { type AgentMessage, type ControlMessage, NodeAgentService, Welcome } from '../../api/proto/agent.ts'
import { createBed, eventually } from './testbed.ts'

test('a control plane that only seems alive is left, and the next address is tried', async () => {
  await using bed = await createBed()
  const silent = new Server()
  let sessions = 0
  silent.addService(NodeAgentService, {
    session: (call: {
      write(message: ControlMessage): void
      on(event: 'data' | 'error', listener: (message: AgentMessage) => void): void
    }) => {
      sessions++
      call.on('error', () => undefined)
      call.on('data', ({ message }) => {
        const value = Welcome.create({ epoch: 3n, clusterUid: 'cluster-1', podCidr: '10.42.9.0/24', heartbeatIntervalMs: 100 })
        if (message?.$case === 'hello') call.write({ message: { $case: 'welcome', value } })
      })
    },
    stream: () => undefined,
  })
  const { ca, cert, key } = bed.serverTls
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }
  const port = await new Promise<number>((resolve, reject) =>
    silent.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(Buffer.from(ca), [pair], true), (err, bound) =>
      err === null ? resolve(bound) : reject(err),
    ),
  )
  try {
    const { desired } = await bed.agent('a', { addresses: [`127.0.0.1:${port}`, `127.0.0.1:${bed.gateway.port}`] })
    await eventually(() => expect(desired.network.podCidr).toBe('10.42.9.0/24'))
    expect(desired.isKnown).toBe(false)
    await eventually(() => expect(desired.isKnown).toBe(true))
    expect(sessions).toBe(1)
    expect(bed.gateway.nodes).toEqual(['a'])
  } finally {
    silent.forceShutdown()
  }
}, 20_000)
