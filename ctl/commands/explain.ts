import { explain as explainKind } from '../../api/derive/explain.ts'
import { defineCommand } from '../command.ts'
import { toggle } from '../flags.ts'
import { UserError } from '../output.ts'
import { findKind } from '../resources.ts'

export const explain = defineCommand({
  name: 'explain',
  summary: 'Say what a kind or one of its fields is for',
  args: 'TYPE[.FIELD ...]',
  flags: { recursive: toggle({ help: 'All fields below it' }) },
  examples: ['ctl explain pod.spec.containers'],
  run({ args, flags }, { out }) {
    const [path] = args
    if (path === undefined) throw new UserError('error: you must specify the type of resource to explain')
    const [type = '', ...fields] = path.split('.')
    out.write(explainKind(findKind(type), fields, { recursive: flags.recursive }))
    return Promise.resolve(0)
  },
})
