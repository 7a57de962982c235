import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { httpsTransport } from '../client/https-transport.ts'
import { parseKubeconfig } from '../client/kubeconfig.ts'
import { podStreams } from '../client/streams.ts'
import { createClient } from '../client/typed-client.ts'
import { readCertificate } from '../lib/certificate.ts'
import { formatTime, systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { rootSignal } from '../lib/process.ts'
import { type GlobalFlags, runCli } from './cli.ts'
import type { Connection, Context } from './command.ts'
import { streamOutput, UserError } from './output.ts'

const signal = rootSignal(silentLog)
const closers: (() => void)[] = []

function contextFor(globals: GlobalFlags): Context {
  let connection: Connection | undefined
  return {
    out: streamOutput(process.stdout, process.stderr),
    clock: systemClock,
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    signal,
    connect: () => {
      connection ??= connect(globals)
      return connection
    },
  }
}

function connect(globals: GlobalFlags): Connection {
  const file = kubeconfigFile(globals)
  const config = parseKubeconfig(readFileSync(file, 'utf8'), {
    file,
    ...(globals.context === undefined ? {} : { context: globals.context }),
  })
  if (config.cert !== undefined) refuseEnded(config.cert, file)
  const transport = httpsTransport({ ...config, clock: systemClock })
  closers.push(() => transport.close())
  return {
    client: createClient(transport),
    streams: podStreams({ ...config, clock: systemClock }),
    get: (path, opts) => transport.get(path, opts),
    post: (path, body, opts) => transport.post(path, body, opts),
    clientCertificate: config.cert,
    server: config.server,
    namespace: globals.namespace ?? config.namespace ?? 'default',
    isNamespaceGiven: globals.namespace !== undefined,
  }
}

/** The server would only say that it does not know us. */
function refuseEnded(cert: string, file: string): void {
  const { commonName, endMs } = readCertificate(cert)
  if (endMs > systemClock.now()) return
  throw new UserError(
    `error: the certificate of "${commonName}" in ${file} ended at ${formatTime(endMs)}.\n` +
      'The control plane renews pki/admin.kubeconfig in its data folder while it runs: start it with "ctl up", or copy that file.',
  )
}

/** The flag, else Skiff's own, else what kubectl would take. */
function kubeconfigFile({ kubeconfig }: GlobalFlags): string {
  const home = process.env['HOME'] ?? homedir()
  const candidates = [
    process.env['SKIFF_KUBECONFIG'],
    join(home, '.skiff', 'kubeconfig'),
    process.env['KUBECONFIG'],
    join(home, '.kube', 'config'),
  ]
  if (kubeconfig !== undefined) return kubeconfig
  const found = candidates.find((file) => file !== undefined && file !== '' && existsSync(file))
  if (found === undefined) throw new UserError('error: no kubeconfig; start Skiff with "ctl up", or name one with --kubeconfig')
  return found
}

// A closed pipe (`ctl get … | head`) is no failure of ours.
process.stdout.on('error', (err: NodeJS.ErrnoException) => process.exit(err.code === 'EPIPE' ? 0 : 1))
process.exitCode = await runCli(process.argv.slice(2), contextFor)
for (const close of closers) close()
