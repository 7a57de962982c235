import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { createServer } from 'node:net'
import { PemConverter, X509CertificateGenerator } from '@peculiar/x509'
import { expect, test } from 'vitest'
import { type ClientTls, dial } from './channel.ts'

async function anyTls(): Promise<ClientTls> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' }
  const cert = (await X509CertificateGenerator.createSelfSigned({ name: 'CN=one', keys, signingAlgorithm })).toString('pem')
  const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  return { ca: cert, cert, key }
}

test('a control plane that refuses the connection is given up at once, and the error says why', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  const port = typeof address === 'object' ? address?.port : undefined
  const link = dial({ address: `127.0.0.1:${port}`, tls: await anyTls(), serverName: 'skiff-gateway' })
  try {
    await link.connected?.()
    const line = link.session()
    await expect(line.messages.next()).rejects.toThrow(/ECONNREFUSED/)
  } finally {
    link.close()
  }
})
