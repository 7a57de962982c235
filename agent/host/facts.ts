import { readFile, statfs } from 'node:fs/promises'
import { availableParallelism, hostname, networkInterfaces, release } from 'node:os'
import process from 'node:process'
import type { AbortOptions } from '../../lib/async.ts'
import type { NodeFacts } from '../contracts.ts'
import type { RunCommand } from './command.ts'

/** What the machine is, as far as v1.Node tells it. */
export interface HostFacts extends NodeFacts {
  readonly hostname: string
  readonly machineId: string
  readonly systemUuid: string
  readonly bootId: string
  readonly kernelVersion: string
  readonly osImage: string
  /** As Kubernetes names it: amd64, arm64. */
  readonly architecture: string
  readonly storageBytes: number
}

export interface HostFactsOptions {
  /** Name of the node; its certificate is for the same. */
  readonly name: string
  /** Address of the node; found by the default route when empty. */
  readonly ip: string
  /** Where the engine and the agent keep their files. */
  readonly storageFolder: string
  readonly run: RunCommand
  /** Bridges and the like, whose addresses are not the node's. */
  readonly ownInterfaces?: readonly string[]
}

export async function readHostFacts(options: HostFactsOptions, opts: AbortOptions): Promise<HostFacts> {
  const machineId = await readTrimmed('/etc/machine-id')
  return {
    name: options.name,
    ip: options.ip === '' ? await findAddress(options, opts) : options.ip,
    cpuMilli: availableParallelism() * 1000,
    memoryBytes: await memoryBytes(),
    hostname: hostname(),
    machineId,
    systemUuid: (await readTrimmed('/sys/class/dmi/id/product_uuid')) || machineId,
    bootId: await readTrimmed('/proc/sys/kernel/random/boot_id'),
    kernelVersion: release(),
    osImage: osImage(await readTrimmed('/etc/os-release')),
    architecture: architectureOf(process.arch),
    storageBytes: await storageBytes(options.storageFolder),
  }
}

/** The address that the node's packets to the world carry. A documentation address is asked for; nothing is sent. */
async function findAddress(
  { run, ownInterfaces = ['docker0', 'skiff0'] }: HostFactsOptions,
  opts: AbortOptions,
): Promise<string> {
  const { code, stdout } = await run({ program: 'ip', args: ['-4', '-o', 'route', 'get', '198.51.100.1'] }, opts)
  const source = / src (\S+)/.exec(stdout)?.[1]
  if (code === 0 && source !== undefined) return source
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    if (ownInterfaces.includes(name)) continue
    const found = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)
    if (found !== undefined) return found.address
  }
  return '127.0.0.1'
}

/** What this process may use: a limit around it (the agent in a container) counts for the node. */
async function memoryBytes(): Promise<number> {
  const total = parseMemTotal(await readTrimmed('/proc/meminfo'))
  const limits = await Promise.all(
    ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'].map(async (path) =>
      Number(await readTrimmed(path)),
    ),
  )
  return Math.min(total, ...limits.filter((limit) => limit > 0 && Number.isFinite(limit)))
}

export function parseMemTotal(meminfo: string): number {
  return Number(/^MemTotal:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0) * 1024
}

export function osImage(osRelease: string): string {
  const name = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1]
  return name ?? 'Linux'
}

export function architectureOf(nodeArch: string): string {
  return nodeArch === 'x64' ? 'amd64' : nodeArch
}

async function storageBytes(folder: string): Promise<number> {
  try {
    const { blocks, bsize } = await statfs(folder)
    return blocks * bsize
  } catch {
    return 0 // The folder is not there yet: then nothing is claimed.
  }
}

/** Facts that a machine does not have are empty. */
async function readTrimmed(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch {
    return ''
  }
}
