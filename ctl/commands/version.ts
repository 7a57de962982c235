import { stringify } from 'yaml'
import { defineCommand } from '../command.ts'
import { text, toggle } from '../flags.ts'
import { UserError } from '../output.ts'
import { skiffVersion } from '../version.ts'

export const version = defineCommand({
  name: 'version',
  summary: 'Print the versions of ctl and of the server',
  flags: {
    client: toggle({ help: 'Only the version of ctl' }),
    output: text({ short: 'o', value: 'format', help: 'json or yaml' }),
  },
  async run({ flags }, { connect, out, signal }) {
    const server = flags.client ? undefined : await serverVersion(connect(), signal)
    const both = {
      clientVersion: { gitVersion: skiffVersion },
      ...(server === undefined ? {} : { serverVersion: { gitVersion: server } }),
    }
    switch (flags.output) {
      case undefined:
        out.line(`Client Version: ${skiffVersion}`)
        if (server !== undefined) out.line(`Server Version: ${server}`)
        return 0
      case 'json':
        out.line(JSON.stringify(both, null, 2))
        return 0
      case 'yaml':
        out.write(stringify(both))
        return 0
      default:
        throw new UserError(`error: --output must be 'yaml' or 'json'`)
    }
  },
})

async function serverVersion(
  connection: { get(path: string, opts: { signal: AbortSignal }): Promise<unknown> },
  signal: AbortSignal,
): Promise<string> {
  const answer = (await connection.get('/version', { signal })) as { readonly gitVersion?: string }
  return answer.gitVersion ?? 'unknown'
}
