import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

/** How the other programs are run: the bundles beside this one, or the sources when this is a source. */
export function programOf(name: 'controlplane' | 'agent'): { readonly command: string; readonly args: readonly string[] } {
  const here = dirname(fileURLToPath(import.meta.url))
  const bundle = join(here, `${name}.mjs`)
  const source = join(here, '..', '..', name, 'main.ts')
  return { command: process.execPath, args: [existsSync(bundle) ? bundle : source] }
}
