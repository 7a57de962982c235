import { textWithPreset } from './flags.ts'
import { UserError } from './output.ts'

/** kubectl's flag, the same for each command that writes. */
export const dryRunFlag = (preset: 'client' | 'server') =>
  textWithPreset(preset, { value: 'mode', help: 'server (or client): check everything, write nothing; none' })

export interface DryRun {
  readonly isOn: boolean
  /** What stands behind `created` and `deleted`. */
  readonly note: string
}

export function readDryRun(mode: string | undefined): DryRun {
  switch (mode) {
    case undefined:
    case 'none':
      return { isOn: false, note: '' }
    case 'server':
      return { isOn: true, note: ' (server dry run)' }
    case 'client': // The server looks at it all the same: it knows better than ctl what is wrong.
      return { isOn: true, note: ' (dry run)' }
    default:
      throw new UserError(`error: Invalid dry-run value (${mode}). Must be "none", "server", or "client".`)
  }
}
