import { createHash } from 'node:crypto'
import type { AbortOptions } from '../../lib/async.ts'
import { tar } from '../images/tar.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { pauseElf } from './pause-elf.ts'

export interface PauseImage {
  /** `skiff/pause:` and the hash of its content. */
  readonly tag: string
  readonly tar: Uint8Array
  readonly entrypoint: readonly string[]
}

export function pauseImage(architecture: string): PauseImage {
  const archive = tar([{ type: 'file', path: 'pause', data: pauseElf(architecture), mode: 0o555 }])
  const hash = createHash('sha256').update(archive).digest('hex').slice(0, 12)
  return { tag: `skiff/pause:${hash}`, tar: archive, entrypoint: ['/pause'] }
}

/** Makes the image on the node unless it is there, and gives its tag. No registry is asked. */
export async function ensurePauseImage(runtime: Runtime, opts: AbortOptions): Promise<string> {
  const { architecture } = await runtime.info(opts)
  const image = pauseImage(architecture)
  await runtime.importImage(image.tag, image.tar, { entrypoint: image.entrypoint }, opts)
  return image.tag
}
