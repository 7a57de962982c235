import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { AbortOptions } from '../../lib/async.ts'

const run = promisify(execFile)

/** The host's mounts, as the volumes need them. */
export interface Mounter {
  tmpfs(
    folder: string,
    options: { readonly sizeBytes: number | undefined; readonly mode: number },
    opts: AbortOptions,
  ): Promise<void>
  bind(source: string, target: string, opts: AbortOptions): Promise<void>
  unmount(target: string, opts: AbortOptions): Promise<void>
  /** Mount points at or below `folder`, deepest first. */
  below(folder: string, opts: AbortOptions): Promise<readonly string[]>
}

export const hostMounter: Mounter = {
  async tmpfs(folder, { sizeBytes, mode }, { signal }) {
    const size = sizeBytes === undefined ? [] : [`size=${sizeBytes}`]
    const options = ['nosuid', 'nodev', `mode=${mode.toString(8)}`, ...size].join(',')
    await command('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { signal })
  },
  async bind(source, target, { signal }) {
    await command('mount', ['--no-canonicalize', '--bind', source, target], { signal })
  },
  async unmount(target, { signal }) {
    try {
      await command('umount', ['--no-canonicalize', target], { signal })
    } catch {
      signal.throwIfAborted()
      // Busy: taken out of sight, gone when its last user is.
      await command('umount', ['--no-canonicalize', '--lazy', target], { signal })
    }
  },
  async below(folder, { signal }) {
    const text = await readFile('/proc/self/mountinfo', { encoding: 'utf8', signal })
    return mountPointsBelow(text, folder)
  },
}

/** Mount points of a mountinfo table at or below `folder`, deepest first, one for each mount stacked there. */
export function mountPointsBelow(mountinfo: string, folder: string): readonly string[] {
  return mountinfo
    .split('\n')
    .map((line) => plain(line.split(' ')[4] ?? ''))
    .filter((point) => point === folder || point.startsWith(`${folder}/`))
    .sort((a, b) => b.split('/').length - a.split('/').length)
}

/** The kernel writes blanks and the like as octal, `\040`. */
const plain = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

async function command(name: string, args: readonly string[], { signal }: AbortOptions): Promise<void> {
  try {
    await run(name, [...args], { signal, timeout: 30_000, maxBuffer: 64 * 1024 })
  } catch (err) {
    signal.throwIfAborted()
    const words = err instanceof Error && 'stderr' in err && typeof err.stderr === 'string' ? err.stderr.trim() : String(err)
    throw new Error(`${name}: ${words}`, { cause: err })
  }
}
