import { Command, CommanderError } from 'commander'
import { StatusError } from '../api/meta/status.ts'
import { normalizeArgv } from './argv.ts'
import type { CommandDef, Context, Input } from './command.ts'
import { commands } from './commands/registry.ts'
import { addFlags, type FlagDefs } from './flags.ts'
import { UserError } from './output.ts'
import { inKubectlWords, plainHelp } from './wording.ts'

/** Flags that every command takes, wherever they stand. */
export interface GlobalFlags {
  readonly namespace: string | undefined
  readonly kubeconfig: string | undefined
  readonly context: string | undefined
}

/** Runs one command line. Gives the exit code; what went wrong has been said. */
export async function runCli(argv: readonly string[], contextFor: (globals: GlobalFlags) => Context): Promise<number> {
  let code = 0
  const root = new Command('ctl')
    .description('Runs Kubernetes manifests on plain Docker hosts.')
    .helpCommand(false)
    .usage('COMMAND [flags]')
    .configureHelp(plainHelp)
    .configureOutput({ outputError: (text, write) => write(inKubectlWords(text, 'ctl')) })
    .enablePositionalOptions(false)
  try {
    const line = normalizeArgv(argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv, commands)
    for (const def of commands)
      addCommand(root, def, line.rest, contextFor, (value) => {
        code = value
      })
    await root.parseAsync([...line.argv], { from: 'user' })
    return code
  } catch (err) {
    if (err instanceof CommanderError) return err.exitCode
    return report(err, contextFor({ namespace: undefined, kubeconfig: undefined, context: undefined }))
  }
}

function addCommand(
  root: Command,
  def: CommandDef,
  rest: readonly string[],
  contextFor: (globals: GlobalFlags) => Context,
  end: (code: number) => void,
): void {
  const [first = '', second] = def.name.split(' ')
  const parent = second === undefined ? root : (root.commands.find((one) => one.name() === first) ?? addParent(root, first))
  const command = parent
    .command(second ?? first)
    .description(def.summary)
    .argument('[args...]')
    .exitOverride()
    .usage(`${def.args === undefined ? '' : `${def.args} `}[flags]`)
  command.configureOutput({ outputError: (text, write) => write(inKubectlWords(text, `ctl ${def.name}`)) })
  parent.exitOverride()
  addFlags(command, def.flags)
  command
    .option('-n, --namespace <name>', 'The namespace')
    .option('--kubeconfig <file>', 'The kubeconfig; ~/.skiff/kubeconfig when not given')
    .option('--context <name>', 'The context of the kubeconfig')
  if (def.examples !== undefined) command.addHelpText('after', `\nExamples:\n${def.examples.map((one) => `  ${one}`).join('\n')}`)
  command.action(async (args: readonly string[], values: Readonly<Record<string, unknown>>) => {
    const context = contextFor(values as unknown as GlobalFlags)
    const flags = Object.fromEntries(Object.entries(def.flags).map(([name, flag]) => [name, values[name] ?? flag.default]))
    try {
      end((await def.run({ args, rest, flags } as Input<FlagDefs>, context)) ?? 0)
    } catch (err) {
      end(report(err, context))
    }
  })
}

function addParent(root: Command, name: string): Command {
  return root
    .command(name)
    .description(name.endsWith('s') ? `Manage ${name}` : `Manage a ${name}`)
    .usage('COMMAND [flags]')
    .helpCommand(false)
    .configureOutput({ outputError: (text, write) => write(inKubectlWords(text, `ctl ${name}`)) })
}

/** Says what went wrong, in kubectl's words where the server said it. */
function report(err: unknown, { out, signal }: Context): number {
  if (signal.aborted) return 130
  if (err instanceof UserError) {
    out.note(err.message)
    return err.exitCode
  }
  if (err instanceof StatusError) {
    const { reason } = err.status
    out.note(
      reason === undefined || reason === 'Invalid'
        ? err.message.replace(/^(?=[A-Z][\w.]* ")/, 'The ')
        : `Error from server (${reason}): ${err.message}`,
    )
    return 1
  }
  out.note(`error: ${err instanceof Error ? err.message : String(err)}`)
  return 1
}
