import { mkdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { Node } from '../../api/kinds/node.ts'
import { sleep } from '../../lib/async.ts'
import { readCertificate } from '../../lib/certificate.ts'
import { type Context, defineCommand } from '../command.ts'
import { duration } from '../flags.ts'
import { type Installation, installation } from '../local/paths.ts'
import { logFile, logTail, runningPid, runOnce, start } from '../local/process.ts'
import { programOf } from '../local/programs.ts'
import { type Settings, settingFlags, settle } from '../local/settings.ts'
import { UserError } from '../output.ts'

export const up = defineCommand({
  name: 'up',
  summary: 'Start control plane and agent on this machine; what runs already is left alone',
  flags: { ...settingFlags, timeout: duration({ help: 'How long to wait until the node is ready', default: 60_000 }) },
  async run({ flags }, context) {
    const at = installation(context.env)
    const settings = await settle(at, flags, context.env)
    const untilMs = context.clock.monotonicMs() + flags.timeout
    await startControlPlane(at, settings, untilMs, context)
    await startAgent(at, settings, untilMs, context)
    return 0
  },
})

async function startControlPlane(at: Installation, settings: Settings, untilMs: number, context: Context): Promise<void> {
  const { command, args } = programOf('controlplane')
  const options = controlPlaneOptions(at, settings)
  const was = await runningPid(at, 'controlplane')
  await start(at, { name: 'controlplane', command, args: [...args, 'run', ...options], env: context.env })
  await until({ what: 'the control plane', daemon: 'controlplane', at, untilMs }, context, async () => {
    await linkKubeconfig(at)
    await context.connect().get('/readyz', { signal: AbortSignal.timeout(2_000) })
  })
  context.out.line(
    was === undefined ? `✓ control plane started, https://127.0.0.1:${settings.apiPort}` : '✓ control plane is running already',
  )
}

function controlPlaneOptions(at: Installation, settings: Settings): readonly string[] {
  const own = settings.etcdEndpoints === ''
  return [
    ...['--data-dir', at.dataDir],
    ...['--api-port', String(settings.apiPort)],
    ...['--gateway-port', String(settings.gatewayPort)],
    ...['--cluster-cidr', settings.clusterCidr],
    ...['--service-cidr', settings.serviceCidr],
    ...(own ? ['--etcd-port', String(settings.etcdPort)] : ['--etcd-endpoints', settings.etcdEndpoints]),
    ...(settings.etcdCa === '' ? [] : ['--etcd-ca', settings.etcdCa]),
    ...(settings.etcdCert === '' ? [] : ['--etcd-cert', settings.etcdCert]),
    ...(settings.etcdKey === '' ? [] : ['--etcd-key', settings.etcdKey]),
  ]
}

/** A link and no copy, so that a renewed certificate is there at once. */
async function linkKubeconfig(at: Installation): Promise<void> {
  const target = join(at.dataDir, 'pki', 'admin.kubeconfig')
  if ((await readlink(at.kubeconfig).catch(() => undefined)) === target) return
  await mkdir(dirname(at.kubeconfig), { recursive: true, mode: 0o700 })
  const link = `${at.kubeconfig}.${process.pid}`
  await rm(link, { force: true })
  await symlink(target, link)
  await rename(link, at.kubeconfig)
}

async function startAgent(at: Installation, settings: Settings, untilMs: number, context: Context): Promise<void> {
  const controlplane = programOf('controlplane')
  const was = await runningPid(at, 'agent')
  const isNeeded = await hasEnded(join(at.dataDir, 'agent', 'pki', 'node.pem'), context)
  if (was === undefined || isNeeded) {
    const issue = [
      'issue-node-cert',
      '--data-dir',
      at.dataDir,
      '--node-name',
      settings.nodeName,
      '--out',
      join(at.dataDir, 'agent', 'pki'),
    ]
    try {
      await runOnce(controlplane.command, [...controlplane.args, ...issue], context.env, context)
    } catch (err) {
      context.signal.throwIfAborted()
      if (isNeeded || !(err instanceof UserError)) throw err
      // Also on a full disk the node has to come up.
      context.out.line(`! the node keeps its certificate, for another one could not be written: ${err.message}`)
    }
  }
  const { command, args } = programOf('agent')
  await start(at, { name: 'agent', command, args: [...args, 'run', ...agentOptions(at, settings)], env: context.env })
  await until({ what: `node "${settings.nodeName}"`, daemon: 'agent', at, untilMs }, context, async () => {
    const node = await context.connect().client.get(Node, { name: settings.nodeName }, { signal: AbortSignal.timeout(2_000) })
    const ready = node.status?.conditions?.find(({ type }) => type === 'Ready')
    if (ready?.status !== 'True') throw new UserError(ready?.message ?? 'it has not said that it is ready')
  })
  context.out.line(
    was === undefined
      ? `✓ agent started, node "${settings.nodeName}" is ready`
      : `✓ agent is running already, node "${settings.nodeName}" is ready`,
  )
}

/** An agent whose certificate has ended cannot get another by itself; it takes up the one that is put there. */
async function hasEnded(file: string, { clock }: Context): Promise<boolean> {
  const pem = await readFile(file, 'utf8').catch(() => undefined)
  return pem === undefined || readCertificate(pem).endMs <= clock.now()
}

/** Options that `run` and `purge` of the agent share. */
export function agentOptions(at: Installation, settings: Settings): readonly string[] {
  return [
    ...['--data-dir', join(at.dataDir, 'agent')],
    ...['--node-name', settings.nodeName],
    ...['--control-planes', `127.0.0.1:${settings.gatewayPort}`],
    ...['--docker-host', settings.dockerHost],
    ...['--bridge', settings.bridge],
  ]
}

interface Waiting {
  readonly what: string
  readonly daemon: string
  readonly at: Installation
  readonly untilMs: number
}

/** Tries until it works. A daemon that ended, or the end of the time, fails with the daemon's last words. */
async function until(waiting: Waiting, context: Context, attempt: () => Promise<void>): Promise<void> {
  const { daemon, at, untilMs } = waiting
  for (;;) {
    try {
      return await attempt()
    } catch (err) {
      context.signal.throwIfAborted()
      if ((await runningPid(at, daemon)) === undefined) throw await notReady(waiting, 'it has ended')
      if (context.clock.monotonicMs() > untilMs) throw await notReady(waiting, err instanceof Error ? err.message : String(err))
      await sleep(context.clock, 50, context.signal)
    }
  }
}

async function notReady({ what, daemon, at }: Waiting, why: string): Promise<UserError> {
  const tail = await logTail(at, daemon)
  return new UserError(`error: ${what} did not get ready: ${why}\nThe end of ${logFile(at, daemon)}:\n${tail}`)
}
