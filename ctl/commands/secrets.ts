import { sleep } from '../../lib/async.ts'
import { type Context, defineCommand } from '../command.ts'
import { off, toggle } from '../flags.ts'
import { UserError } from '../output.ts'

const path = '/skiff/v1/secrets/rewrite'

interface State {
  readonly state: 'idle' | 'running' | 'done' | 'failed'
  readonly rewritten: number
  readonly unreadable: readonly string[]
  readonly keys: number
  readonly newestKey: string
  readonly message?: string
}

export const secretsRewrite = defineCommand({
  name: 'secrets rewrite',
  summary: 'Encrypt all Secrets in etcd anew with a new key, while everything goes on',
  flags: {
    newKey: off({ help: 'Make no key: use the first one of pki/encryption.json, which is read again' }),
    forgetOld: toggle({ help: 'Then forget the old keys; older backups of etcd cannot be read without them' }),
  },
  examples: ['ctl secrets rewrite', 'ctl secrets rewrite --forget-old'],
  async run({ flags }, context) {
    const { connect, signal, clock } = context
    const { newKey, forgetOld } = flags
    let state = (await connect().post(path, { newKey, forgetOld }, { signal })) as State
    while (state.state === 'running') {
      await sleep(clock, 300, signal)
      state = (await connect().get(path, { signal })) as State
    }
    return tell(state, context)
  },
})

function tell({ state, rewritten, unreadable, keys, newestKey, message }: State, { out }: Context): number {
  for (const key of unreadable) out.note(`cannot be read, no key opens it: ${key}`)
  if (state !== 'done')
    throw new UserError(
      `error: secrets were not rewritten: ${message ?? 'the control plane was started anew meanwhile; do it again'}`,
    )
  const old = keys === 1 ? 'there is no other key' : `${keys - 1} older keys can still read`
  out.line(`${rewritten} secrets rewritten with key ${newestKey}; ${old}`)
  return unreadable.length === 0 ? 0 : 1
}
