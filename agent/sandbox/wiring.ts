import { readFile } from 'node:fs/promises'
import type { AbortOptions } from '../../lib/async.ts'
import { type Command, mustRun, type RunCommand } from '../host/command.ts'
import { parseIp } from '../network/cidr.ts'
import { linkPrefix, macOf, type ReadyNetwork } from '../network/node-network.ts'
import { RuntimeError } from '../runtime/runtime.ts'

export interface WireTarget {
  readonly containerId: string
  readonly pid: number
  readonly ip: string
}

/** Name of the host's end of a sandbox's link; the kernel allows 15 characters. */
export function linkName(containerId: string): string {
  return linkPrefix + containerId.slice(0, 15 - linkPrefix.length)
}

/** Connects sandboxes' network namespaces to the node's bridge. */
export class Wiring {
  readonly #run: RunCommand
  /** Container id → process id for which the wiring was found or made. */
  readonly #wired = new Map<string, number>()

  constructor(run: RunCommand) {
    this.#run = run
  }

  /** Makes the link of a sandbox that was started just now, so that nothing needs to be looked for. */
  async make(target: WireTarget, network: ReadyNetwork, opts: AbortOptions): Promise<void> {
    await assertIsInside(target)
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

  async #isWired(target: WireTarget, opts: AbortOptions): Promise<boolean> {
    const { containerId, pid, ip } = target
    await assertIsInside(target)
    const outer = await this.#run({ program: 'ip', args: ['link', 'show', 'dev', linkName(containerId)] }, opts)
    if (outer.code !== 0 || !outer.stdout.includes(' master ')) return false
    const inner = await this.#run(inside(pid, 'ip -o -4 addr show dev eth0 up && ip -4 route show default'), opts)
    return inner.code === 0 && inner.stdout.includes(` inet ${ip}/32 `) && inner.stdout.includes('default via ')
  }

  async #wire({ containerId, pid, ip }: WireTarget, network: ReadyNetwork, opts: AbortOptions): Promise<void> {
    const link = linkName(containerId)
    const mac = macOf(parseIp(ip) ?? 0)
    const { bridge, mtu, gateway } = network
    const outer = [
      `link add ${link} mtu ${mtu} type veth peer name eth0 mtu ${mtu} address ${mac} netns ${pid}`,
      `link set ${link} master ${bridge} up`,
      `link set ${link} type bridge_slave hairpin on`,
    ]
    const batch: Command = { program: 'ip', args: ['-batch', '-'], input: `${outer.join('\n')}\n` }
    await mustRun(this.#run, 'connect sandbox to the bridge', batch, opts)
    const inner = [
      'link set lo up',
      'link set eth0 up',
      `addr add ${ip}/32 dev eth0`,
      `route add ${gateway} dev eth0 scope link`,
      `route add default via ${gateway} dev eth0 src ${ip}`,
    ]
    // The gateway sends packets back out where they came in, and tells senders of the shorter way; there is none.
    const settings = ['all', 'eth0'].map((name) => `echo 0 2>/dev/null >/proc/sys/net/ipv4/conf/${name}/accept_redirects`)
    const script = `${settings.join('; ')}; exec ip -batch -`
    await mustRun(
      this.#run,
      'set up the network of the sandbox',
      { ...inside(pid, script), input: `${inner.join('\n')}\n` },
      opts,
    )
  }
}

function inside(pid: number, script: string): Command {
  return { program: 'nsenter', args: [`--net=/proc/${pid}/ns/net`, 'sh', '-c', script] }
}

/** The sandbox may have ended, and its process id belong to anybody by now. */
async function assertIsInside({ pid, containerId }: WireTarget): Promise<void> {
  const cgroup = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
  if (!cgroup.includes(containerId)) throw new RuntimeError('NotFound', 'the sandbox ended before it was connected')
}
