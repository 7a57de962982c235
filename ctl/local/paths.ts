import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** Where one Skiff on this machine keeps its things. */
export interface Installation {
  readonly dataDir: string
  readonly kubeconfig: string
  readonly logDir: string
  readonly runDir: string
  /** Options of the last `up`, so that the next one starts the same. */
  readonly settingsFile: string
}

export function installation(env: Readonly<Record<string, string | undefined>>): Installation {
  const dataDir = resolve(env['SKIFF_DATA_DIR'] ?? '/var/lib/skiff')
  return {
    dataDir,
    kubeconfig: env['SKIFF_KUBECONFIG'] ?? join(env['HOME'] ?? homedir(), '.skiff', 'kubeconfig'),
    logDir: join(dataDir, 'log'),
    runDir: join(dataDir, 'run'),
    settingsFile: join(dataDir, 'settings.json'),
  }
}
