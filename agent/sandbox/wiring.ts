import { readFile, readlink } from 'node:fs/promises'
import { type AbortOptions, sleep } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import { type Command, mustRun, type RunCommand } from '../host/command.ts'
import { parseIp } from '../network/cidr.ts'
import { linkPrefix, macOf, type ReadyNetwork } from '../network/node-network.ts'
import { RuntimeError } from '../runtime/runtime.ts'

/** For the sandbox's program to make its network: less than a millisecond, when there is a core for it. */
const leaveMs = 5_000
const lookMs = 2

export interface WireTarget {
  readonly containerId: string
  readonly pid: number
  readonly ip: string
  /** The engine did not make the network, so its usual settings are ours to make. */
  readonly isBare: boolean
}

/** Name of the host's end of a sandbox's link; the kernel allows 15 characters. */
export function linkName(containerId: string): string {
  return linkPrefix + containerId.slice(0, 15 - linkPrefix.length)
}

/** Connects sandboxes' network namespaces to the node's bridge. */
export class Wiring {
  readonly #run: RunCommand
  readonly #clock: Clock
  /** Container id → process id for which the wiring was found or made. */
  readonly #wired = new Map<string, number>()

  constructor(run: RunCommand, clock: Clock) {
    this.#run = run
    this.#clock = clock
  }

  /** Makes the link of a sandbox that was started just now, so that nothing needs to be looked for. */
  async make(target: WireTarget, network: ReadyNetwork, opts: AbortOptions): Promise<void> {
    await this.#untilInside(target, opts)
    try {
      await this.#wire(target, network, opts)
    } catch (err) {
      opts.signal.throwIfAborted()
      await this.remove(target.containerId, opts) // Half of a link is of no use; the next attempt starts clean.
      throw err
    }
    this.#wired.set(target.containerId, target.pid)
  }

  /** Makes the sandbox's link unless it is there; half of one is made anew. */
  async ensure(target: WireTarget, network: ReadyNetwork, opts: AbortOptions): Promise<void> {
    if (this.#wired.get(target.containerId) === target.pid) return
    if (await this.#isWired(target, opts)) {
      this.#wired.set(target.containerId, target.pid)
      return
    }
    await this.remove(target.containerId, opts)
    await this.make(target, network, opts)
  }

  /** Gone is fine. */
  async remove(containerId: string, opts: AbortOptions): Promise<void> {
    this.#wired.delete(containerId)
    await this.#run({ program: 'ip', args: ['link', 'del', linkName(containerId)] }, opts)
  }

  /** Waits until the sandbox has a network of its own: what is set up before that would be set up on the host. */
  async #untilInside(target: WireTarget, opts: AbortOptions): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + leaveMs
    for (;;) {
      await assertIsSandbox(target)
      if (await hasOwnNetwork(target.pid).catch(() => false)) return
      if (this.#clock.monotonicMs() >= untilMs) throw new RuntimeError('Timeout', 'the sandbox did not leave the host’s network')
      await sleep(this.#clock, lookMs, opts.signal)
    }
  }

  async #isWired(target: WireTarget, opts: AbortOptions): Promise<boolean> {
    const { containerId, pid, ip } = target
    await this.#untilInside(target, opts)
    const outer = await this.#run({ program: 'ip', args: ['link', 'show', 'dev', linkName(containerId)] }, opts)
    if (outer.code !== 0 || !outer.stdout.includes(' master ')) return false
    const [program = '', ...args] = nsenter(pid)
    const look = 'ip -o -4 addr show dev eth0 up && ip -4 route show default'
    const inner = await this.#run({ program, args: [...args, 'sh', '-c', look] }, opts)
    return inner.code === 0 && inner.stdout.includes(` inet ${ip}/32 `) && inner.stdout.includes('default via ')
  }

  async #wire({ containerId, pid, ip, isBare }: WireTarget, network: ReadyNetwork, opts: AbortOptions): Promise<void> {
    const link = linkName(containerId)
    const address = parseIp(ip)
    // It comes from a label, and goes into a script.
    if (address === undefined) throw new RuntimeError('InvalidSpec', `the sandbox has "${ip}" for an address`)
    const mac = macOf(address)
    const { bridge, mtu, gateway } = network
    const outer = [
      `link add ${link} mtu ${mtu} type veth peer name eth0 mtu ${mtu} address ${mac} netns ${pid}`,
      `link set ${link} master ${bridge} up`,
      `link set ${link} type bridge_slave hairpin on`,
    ]
    const inner = [
      'link set lo up',
      'link set eth0 up',
      `addr add ${ip}/32 dev eth0`,
      `route add ${gateway} dev eth0 scope link`,
      `route add default via ${gateway} dev eth0 src ${ip}`,
    ]
    const settings = [
      // The gateway sends packets back out where they came in, and tells senders of the shorter way; there is none.
      ...['all', 'eth0'].map((name) => ['0', `conf/${name}/accept_redirects`]),
      ...(isBare ? engineSettings : []),
    ]
    const writes = settings.map(([value, name]) => `echo ${value} 2>/dev/null >/proc/sys/net/ipv4/${name}`)
    // One command: starting a program is what takes long, and nothing of the agent goes on meanwhile.
    const script = [
      'set -e',
      `ip -batch - <<'END'\n${outer.join('\n')}\nEND`,
      `exec ${nsenter(pid).join(' ')} sh -c '${writes.join('; ')}; exec ip -batch -' <<'END'\n${inner.join('\n')}\nEND\n`,
    ]
    const command: Command = { program: 'sh', args: ['-c', script.join('\n')] }
    await mustRun(this.#run, 'connect the sandbox to the bridge', command, opts)
  }
}

/** As in the networks that the engine makes: who is not root may listen on port 80, and ping. */
const engineSettings = [
  ['0', 'ip_unprivileged_port_start'],
  ['0 2147483647', 'ping_group_range'],
] as const

const nsenter = (pid: number): readonly string[] => ['nsenter', `--net=/proc/${pid}/ns/net`]

/** The sandbox may have ended, and its process id belong to anybody by now. */
async function assertIsSandbox({ pid, containerId }: WireTarget): Promise<void> {
  const cgroup = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
  if (!cgroup.includes(containerId)) throw new RuntimeError('NotFound', 'the sandbox ended before it was connected')
}

/** Whether a container's first process has another network than the one that started it, which is the engine's part. */
async function hasOwnNetwork(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name in brackets may hold anything; state and parent follow it.
  const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? ''
  const networks = await Promise.all([String(pid), parent].map((id) => readlink(`/proc/${id}/ns/net`)))
  return networks[0] !== networks[1]
}
