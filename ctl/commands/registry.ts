import type { CommandDef } from '../command.ts'
import { apiResources } from './api-resources.ts'
import { apply } from './apply.ts'
import { certs, certsRotate } from './certs.ts'
import { completionCommand } from './completion.ts'
import { deleteCommand } from './delete.ts'
import { describe } from './describe.ts'
import { down } from './down.ts'
import { events } from './events.ts'
import { exec } from './exec.ts'
import { explain } from './explain.ts'
import { get } from './get.ts'
import { logs } from './logs.ts'
import { rolloutHistory, rolloutPause, rolloutRestart, rolloutResume, rolloutStatus, rolloutUndo } from './rollout.ts'
import { run } from './run.ts'
import { scale } from './scale.ts'
import { secretsRewrite } from './secrets.ts'
import { status } from './status.ts'
import { unlisted, unlistedRemove } from './unlisted.ts'
import { up } from './up.ts'
import { version } from './version.ts'

/** The one list of commands, in the order of the help. */
export const commands: readonly CommandDef[] = [
  up,
  down,
  status,
  apply,
  get,
  describe,
  deleteCommand,
  logs,
  exec,
  scale,
  rolloutStatus,
  rolloutHistory,
  rolloutUndo,
  rolloutRestart,
  rolloutPause,
  rolloutResume,
  run,
  events,
  explain,
  apiResources,
  certs,
  certsRotate,
  secretsRewrite,
  unlisted,
  unlistedRemove,
  version,
  completionCommand(() => commands.map(({ name }) => name)),
]
