import { lstat, readlink, rm, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Context, defineCommand } from '../command.ts'
import { toggle } from '../flags.ts'
import { type Installation, installation } from '../local/paths.ts'
import { runOnce, stop } from '../local/process.ts'
import { programOf } from '../local/programs.ts'
import { readSettings, type Settings } from '../local/settings.ts'
import { agentOptions } from './up.ts'

const ctlOnPath = '/usr/local/bin/ctl'

export const down = defineCommand({
  name: 'down',
  summary: 'Stop agent, control plane and etcd; containers go on running',
  flags: { purge: toggle({ help: 'Also remove all that Skiff made here: containers, network, volumes, data, certificates' }) },
  async run({ flags }, context) {
    const at = installation(context.env)
    const settings = await readSettings(at, context.env)
    const limits = { clock: context.clock, limitMs: 20_000, signal: context.signal }
    for (const [name, what] of [
      ['agent', 'agent'],
      ['controlplane', 'control plane and etcd'],
    ] as const) {
      const wasRunning = await stop(at, name, limits)
      context.out.line(wasRunning ? `✓ ${what} stopped` : `✓ ${what} not running`)
    }
    const { command, args } = programOf('controlplane')
    await runOnce(command, [...args, 'stop-etcd', '--data-dir', at.dataDir], context.env, context)
    if (!flags.purge) {
      if (settings !== undefined) context.out.line('Containers go on running; "ctl up" takes them over again.')
      return 0
    }
    if (settings !== undefined) await purge(at, settings, context)
    return 0
  },
})

async function purge(at: Installation, settings: Settings, { env, out, signal }: Context): Promise<void> {
  const { command, args } = programOf('agent')
  out.write(await runOnce(command, [...args, 'purge', ...agentOptions(at, settings)], env, { signal }))
  for (const part of ['agent', 'etcd', 'etcd.log', 'etcd.log.1', 'pki', 'log', 'run', 'revision', 'settings.json'])
    await rm(`${at.dataDir}/${part}`, { recursive: true, force: true })
  await rm(at.kubeconfig, { force: true })
  // Only when nothing else is in there: the folder is the user's.
  await rmdir(dirname(at.kubeconfig)).catch(() => undefined)
  await rmdir(at.dataDir).catch(() => undefined)
  if (
    (await lstat(ctlOnPath).catch(() => undefined))?.isSymbolicLink() === true &&
    (await readlink(ctlOnPath)).endsWith('/bin/ctl')
  )
    await rm(ctlOnPath)
  out.line('✓ data, certificates and kubeconfig removed; Docker Engine, etcd and other packages stay')
  // Somebody else's: there may be other control planes on it.
  if (settings.etcdEndpoints !== '')
    out.line(`  what Skiff wrote to the etcd at ${settings.etcdEndpoints} stays; to remove it: etcdctl del --prefix /skiff/`)
}
