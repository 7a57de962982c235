import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

/**
 * MiB for new objects. Node.js takes up to 16, three times over, and gives none of it back to a program that is idle;
 * below these a busy one collects noticeably more often.
 */
const semiSpaceMiB = { controlplane: 4, agent: 2 } as const

/** What Node.js itself is told about a program. */
export const nodeFlagsOf = (name: 'controlplane' | 'agent'): readonly string[] => [`--max-semi-space-size=${semiSpaceMiB[name]}`]

/** How the other programs are run: the bundles beside this one, or the sources when this is a source. */
export function programOf(name: 'controlplane' | 'agent'): { readonly command: string; readonly args: readonly string[] } {
  const here = dirname(fileURLToPath(import.meta.url))
  const bundle = join(here, `${name}.mjs`)
  const source = join(here, '..', '..', name, 'main.ts')
  return {
    command: process.execPath,
    args: [...nodeFlagsOf(name), existsSync(bundle) ? bundle : source],
  }
}
