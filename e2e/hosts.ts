// More hosts beside a machine, for control planes that can be cut off: a network namespace each, one link to the machine.

import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { run, tryRun } from '../deploy/steps.ts'
import { type Machine, ok } from './machine.ts'

/** Which way nothing gets through any more, as the host sees it. */
export type Direction = 'both' | 'in' | 'out'

export interface Host extends AsyncDisposable {
  readonly name: string
  /** At which the machine reaches it. */
  readonly address: string
  /** For a control plane on it. */
  readonly dataDir: string
  /** As the machine's own, but on this host. */
  readonly run: Machine['run']
  readonly spawn: Machine['spawn']
  /** Nothing is refused, it only never arrives: what a broken switch does. */
  cut(direction: Direction): Promise<void>
  heal(): Promise<void>
}

/** `198.51.100.0/24` is for documentation, as the machine's own. */
const subnet = '198.51.100'

export async function createHost(m: Machine, index: number): Promise<Host> {
  const name = `cp${index}`
  const netns = `skiff-${m.name}-${process.pid}-${name}`
  const machineSide = `${subnet}.${4 * index + 1}`
  const address = `${subnet}.${4 * index + 2}`
  await run('ip', ['netns', 'add', netns])
  ok(await m.run('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns]))
  ok(await m.run('ip', ['addr', 'add', `${machineSide}/30`, 'dev', name]))
  ok(await m.run('ip', ['link', 'set', name, 'up']))
  // Docker forwards nothing but its own: hosts have to reach each other.
  ok(await m.run('iptables', ['-w', '-I', 'FORWARD', '-i', 'cp+', '-o', 'cp+', '-j', 'ACCEPT']))
  const inside = (command: string, args: readonly string[]): readonly string[] => [`--net=/run/netns/${netns}`, command, ...args]
  const children: ChildProcess[] = []
  const host: Host = {
    name,
    address,
    dataDir: join(m.folder, name),
    run: (command, args, options = {}) =>
      tryRun('nsenter', inside(command, args), { ...options, env: { ...m.env, ...options.env } }),
    spawn(command, args) {
      const env = { ...process.env, ...m.env }
      const child = spawn('nsenter', inside(command, args), { env, stdio: ['pipe', 'pipe', 'pipe'] })
      children.push(child)
      return child
    },
    async cut(direction) {
      const rules = { in: ['INPUT', '-i'], out: ['OUTPUT', '-o'] } as const
      for (const way of ['in', 'out'] as const)
        if (direction === way || direction === 'both')
          ok(await host.run('iptables', ['-w', '-I', ...rules[way], 'eth0', '-j', 'DROP']))
    },
    async heal() {
      ok(await host.run('iptables', ['-w', '-F']))
    },
    async [Symbol.asyncDispose]() {
      // Whatever a failed test has left running, or frozen.
      for (const child of children) child.kill('SIGKILL')
      await tryRun('ip', ['netns', 'delete', netns])
    },
  }
  const batch = [
    'link set lo up',
    `addr add ${address}/30 dev eth0`,
    'link set eth0 up',
    `route add default via ${machineSide} dev eth0`,
  ]
  ok(await host.run('ip', ['-batch', '-'], { input: `${batch.join('\n')}\n` }))
  return host
}
