import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { systemClock } from '../lib/clock.ts'
import { jsonLog, type LogLevel } from '../lib/log.ts'
import { createMetrics } from '../lib/metrics.ts'
import { OptionError, optionsHelp, readOptions } from '../lib/options.ts'
import { privateFolder, writeWhole } from '../lib/private-files.ts'
import { processClock, rootSignal } from '../lib/process.ts'
import { systemRandom } from '../lib/random.ts'
import { runControlPlane } from './controlplane.ts'
import { findRunning, forgetRunning, stopRunning } from './etcd-process/running.ts'
import { issueOptions, options } from './options.ts'
import { nodeIssuer } from './pki/pki.ts'

const prefix = 'SKIFF_CONTROLPLANE'
const minLifeMs = 10_000
const help = `Skiff's control plane.

controlplane run [flags]               runs it until SIGTERM
controlplane stop-etcd [flags]         ends an etcd whose control plane died
controlplane issue-node-cert [flags]   writes the certificate with which a node's agent joins

run:
${optionsHelp(options)}

issue-node-cert:
${optionsHelp(issueOptions)}
`

async function run(argv: readonly string[]): Promise<void> {
  const given = readOptions(prefix, options, { argv, env: process.env })
  if (given.certificateLife < minLifeMs) throw new OptionError('--certificate-life: at least 10s')
  const log = jsonLog(given.logLevel as LogLevel)
  const signal = rootSignal(log)
  const etcdBinary = given.etcdBinary === '' ? findEtcd() : given.etcdBinary
  const metrics = createMetrics('skiff_', { process: true })
  log.info('starting', { dataDir: given.dataDir, pid: process.pid })
  const debugChecks = process.env['SKIFF_DEBUG_CHECKS'] === '1'
  const deps = { clock: processClock(), random: systemRandom, log, metrics, debugChecks }
  await runControlPlane({ ...given, etcdBinary }, deps, signal)
  log.info('stopped')
}

/** Set-up says where etcd is; otherwise it is looked for on PATH. */
function findEtcd(): string {
  const named = process.env['SKIFF_ETCD']
  if (named !== undefined && named !== '') return named
  const folders = (process.env['PATH'] ?? '').split(':')
  return folders.map((folder) => join(folder, 'etcd')).find((path) => existsSync(path)) ?? 'etcd'
}

/** The authority signs on the machine that holds it; its key never leaves it. */
async function issueNodeCert(argv: readonly string[]): Promise<void> {
  const { dataDir, nodeName, out, certificateLife } = readOptions(prefix, issueOptions, { argv, env: process.env })
  if (!existsSync(join(dataDir, 'pki', 'cluster-ca.key')))
    throw new OptionError(`--data-dir: there is no certificate authority in "${dataDir}"`)
  const log = jsonLog('warn')
  const issuer = await nodeIssuer(dataDir, { clock: systemClock, log, hosts: [], lifeMs: certificateLife })
  const { cert, key } = await issuer.issueNodeCert(nodeName)
  await privateFolder(out)
  await writeWhole(join(out, 'ca.crt'), issuer.clusterAuthority.cert, 0o644)
  // In one file, so that no crash can part them.
  await writeWhole(join(out, 'node.pem'), `${cert}${key}`, 0o600)
}

/** A control plane that was killed leaves its etcd running, for the next one to adopt. */
async function stopEtcd(argv: readonly string[]): Promise<void> {
  const { dataDir } = readOptions(prefix, { dataDir: options.dataDir }, { argv, env: process.env })
  const pid = await findRunning(dataDir)
  if (pid === undefined) return
  await stopRunning(pid, { dataFolder: dataDir, clock: systemClock, graceMs: 10_000, signal: rootSignal(jsonLog('warn')) })
  await forgetRunning(dataDir, pid)
}

const [command = 'help', ...argv] = process.argv.slice(2)
try {
  if (command === 'run') await run(argv)
  else if (command === 'issue-node-cert') await issueNodeCert(argv)
  else if (command === 'stop-etcd') await stopEtcd(argv)
  else {
    process.stdout.write(help)
    process.exitCode = command === 'help' || command === '--help' ? 0 : 2
  }
} catch (err) {
  process.stderr.write(
    `controlplane: ${err instanceof OptionError ? err.message : err instanceof Error ? (err.stack ?? err.message) : String(err)}\n`,
  )
  process.exitCode = 1
}
