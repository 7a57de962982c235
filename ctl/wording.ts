import type { Command, HelpConfiguration } from 'commander'

/** What the parser says about a bad command line, in kubectl's words. */
export function inKubectlWords(message: string, path: string): string {
  const text = message.trimEnd()
  const [first = '', ...hints] = text.split('\n')
  const see = `See '${path} --help' for usage.`
  const flag = /^error: unknown option '(-[^']*)'/.exec(first)?.[1]
  if (flag !== undefined) {
    const hint = hints.length === 0 ? [] : [hints.join('\n')]
    const what = flag.startsWith('--') ? `unknown flag: ${flag}` : `unknown shorthand flag: '${flag[1]}' in ${flag}`
    return `${[`error: ${what}`, ...hint, see].join('\n')}\n`
  }
  const command = /^error: unknown command '([^']*)'/.exec(first)?.[1]
  if (command !== undefined) {
    const near = /Did you mean (?:one of )?(.*)\?/.exec(hints.join(' '))?.[1]?.split(', ') ?? []
    const hint = near.length === 0 ? '' : `\n\nDid you mean this?\n${near.map((name) => `\t${name}`).join('\n')}`
    return `error: unknown command "${command}" for "${path}"${hint}\nSee '${path} --help' for usage.\n`
  }
  const lacking = /^error: option '(?:-\w, )?(--[\w-]+)[^']*' argument missing/.exec(first)?.[1]
  if (lacking !== undefined) return `error: flag needs an argument: ${lacking}\n${see}\n`
  const invalid = /^error: option '(?:(-\w), )?(--[\w-]+)[^']*' argument '(.*)' is invalid\. ?(.*?)\.?$/.exec(first)
  if (invalid === null) return `${text}\n`
  const [, short, long = '', value = '', why = ''] = invalid
  return `error: invalid argument "${value}" for "${short === undefined ? '' : `${short}, `}${long}" flag: ${why}\n${see}\n`
}

/** Help without the same `[options] [args...]` behind each command. */
export const plainHelp: HelpConfiguration = { subcommandTerm: (command: Command) => command.name() }
