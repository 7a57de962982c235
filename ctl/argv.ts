import type { CommandDef } from './command.ts'
import { type FlagDef, longOf } from './flags.ts'
import { UserError } from './output.ts'

/** A command line as typed, ready for the parser: command first, switches without values. */
export interface CommandLine {
  readonly argv: readonly string[]
  /** What stood after `--`. */
  readonly rest: readonly string[]
}

const globalFlags: readonly string[] = ['-n', '--namespace', '--kubeconfig', '--context']

/**
 * kubectl takes its global flags before the command (`-n web get pods`), and a value with each switch
 * (`--wait=false`, `--dry-run` alone); the parser below ctl takes neither.
 */
export function normalizeArgv(argv: readonly string[], commands: readonly CommandDef[]): CommandLine {
  const at = argv.indexOf('--')
  const typed = at < 0 ? argv : argv.slice(0, at)
  const rest = at < 0 ? [] : argv.slice(at + 1)
  const { words, globals, left } = splitCommand(typed, commands)
  const def = commands.find(({ name }) => name === words.join(' '))
  const flags = def === undefined ? left : left.flatMap((arg) => normalizeFlag(arg, Object.entries(def.flags)))
  return { argv: [...words, ...globals, ...flags], rest }
}

/** The words that name the command, the global flags before and between them, and all that follows. */
function splitCommand(typed: readonly string[], commands: readonly CommandDef[]) {
  const words: string[] = []
  const globals: string[] = []
  let at = 0
  for (; at < typed.length; at++) {
    const arg = typed[at] ?? ''
    const isGlobal = globalFlags.some((flag) => arg === flag || arg.startsWith(`${flag}=`)) || /^-n./.test(arg)
    if (isGlobal) {
      globals.push(arg)
      if (globalFlags.includes(arg)) globals.push(typed[++at] ?? '')
      continue
    }
    const next = [...words, arg].join(' ')
    if (!commands.some(({ name }) => name === next || name.startsWith(`${next} `))) break
    words.push(arg)
  }
  return { words, globals, left: typed.slice(at) }
}

function normalizeFlag(arg: string, defs: readonly (readonly [string, FlagDef<unknown>])[]): readonly string[] {
  const [name = '', value] = splitOnce(arg)
  const found = defs.find(([key, def]) => longOf(key, def) === name || (def.default === true && `--${key}` === name))
  const def = found?.[1]
  if (def === undefined) return [arg]
  if (def.preset !== undefined) return [value === undefined ? `${name}=${def.preset}` : arg]
  if (def.value !== undefined) return [arg]
  const isGiven = readSwitch(name, value)
  if (def.default !== true) return isGiven ? [name] : []
  const isOff = name === longOf(found?.[0] ?? '', def) ? isGiven : !isGiven
  return isOff ? [longOf(found?.[0] ?? '', def)] : []
}

function readSwitch(name: string, value: string | undefined): boolean {
  if (value === undefined || /^(true|t|1)$/i.test(value)) return true
  if (/^(false|f|0)$/i.test(value)) return false
  throw new UserError(`error: invalid argument "${value}" for "${name}" flag: must be true or false`)
}

function splitOnce(arg: string): readonly [string, string | undefined] {
  const at = arg.startsWith('--') ? arg.indexOf('=') : -1
  return at < 0 ? [arg, undefined] : [arg.slice(0, at), arg.slice(at + 1)]
}
