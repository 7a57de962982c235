/** How one option is read: flags, environment, help and docs derive from one declaration. */
export interface OptionDef<T> {
  readonly type: string
  readonly help: string
  readonly default: T | undefined
  parse(text: string): T
}

interface Settings<T> {
  readonly help: string
  readonly default?: T
}

function option<T>(type: string, parse: (text: string) => T, settings: Settings<T>): OptionDef<T> {
  return { type, help: settings.help, default: settings.default, parse }
}

export const text = (s: Settings<string>): OptionDef<string> => option('text', (value) => value, s)
export const list = (s: Settings<readonly string[]>): OptionDef<readonly string[]> =>
  option('list', (value) => value.split(',').filter((item) => item !== ''), s)
export const int = (s: Settings<number>): OptionDef<number> =>
  option(
    'int',
    (value) => {
      if (!/^-?\d{1,15}$/.test(value)) throw new OptionError(`"${value}" is not a whole number`)
      return Number(value)
    },
    s,
  )
/** Milliseconds, written as in `500ms`, `40s`, `5m` or `1h30m`. */
export const duration = (s: Settings<number>): OptionDef<number> => option('duration', parseDuration, s)

export class OptionError extends Error {
  override readonly name = 'OptionError'
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds of a Go-style duration such as `1h30m`. */
export function parseDuration(value: string): number {
  if (value === '0') return 0
  if (!/^(\d{1,9}(\.\d{1,9})?(ms|s|m|h))+$/.test(value)) throw new OptionError(`"${value}" is not a duration such as 40s or 5m`)
  let total = 0
  for (const [, amount, , unit] of value.matchAll(/(\d+(\.\d+)?)(ms|s|m|h)/g)) total += Number(amount) * (unitMs[unit ?? ''] ?? 0)
  return total
}

/** The shortest writing that `parseDuration` takes, as in `1m30s`. */
export function formatDuration(ms: number): string {
  if (ms <= 0) return '0'
  let rest = Math.round(ms)
  let out = ''
  for (const unit of ['h', 'm', 's', 'ms']) {
    const size = unitMs[unit] ?? 1
    if (rest >= size) out += `${Math.floor(rest / size)}${unit}`
    rest %= size
  }
  return out
}

export type OptionDefs = Readonly<Record<string, OptionDef<unknown>>>
export type OptionsOf<D extends OptionDefs> = { readonly [K in keyof D]: D[K] extends OptionDef<infer T> ? T : never }

/**
 * Reads options from `--kebab-case[=]value` flags, then from `PREFIX_SNAKE_CASE` environment names, then from the
 * defaults. An unknown flag, a bad value or a missing option without a default throws an OptionError that names it.
 */
export function readOptions<D extends OptionDefs>(
  prefix: string,
  defs: D,
  { argv, env }: { argv: readonly string[]; env: Readonly<Record<string, string | undefined>> },
): OptionsOf<D> {
  const flags = readFlags(defs, argv)
  const values: Record<string, unknown> = {}
  for (const [name, def] of Object.entries(defs)) {
    const given = flags.get(name) ?? env[`${prefix}_${snake(name)}`]
    if (given !== undefined) values[name] = parseNamed(name, def, given)
    else if (def.default !== undefined) values[name] = def.default
    else throw new OptionError(`--${kebab(name)} is required: ${def.help}`)
  }
  return values as OptionsOf<D>
}

function readFlags(defs: OptionDefs, argv: readonly string[]): Map<string, string> {
  const byFlag = new Map(Object.keys(defs).map((name) => [`--${kebab(name)}`, name]))
  const flags = new Map<string, string>()
  for (let i = 0; i < argv.length; i++) {
    const [flagName = '', inline] = splitOnce(argv[i] ?? '', '=')
    const name = byFlag.get(flagName)
    if (name === undefined) throw new OptionError(`unknown flag "${flagName}"`)
    if (inline !== undefined) flags.set(name, inline)
    else {
      i++
      const value = argv[i]
      if (value === undefined) throw new OptionError(`${flagName} needs a value`)
      flags.set(name, value)
    }
  }
  return flags
}

function parseNamed(name: string, def: OptionDef<unknown>, value: string): unknown {
  try {
    return def.parse(value)
  } catch (err) {
    throw new OptionError(`--${kebab(name)}: ${err instanceof Error ? err.message : String(err)}`, { cause: err })
  }
}

/** One line per option, for --help. */
export function optionsHelp(defs: OptionDefs): string {
  return Object.entries(defs)
    .map(
      ([name, def]) =>
        `  --${kebab(name)} (${def.type}${def.default === undefined ? '' : `, default ${defaultText(def)}`})\n      ${def.help}`,
    )
    .join('\n')
}

function defaultText({ type, default: value }: OptionDef<unknown>): string {
  if (type === 'duration' && typeof value === 'number') return formatDuration(value)
  return value === '' || (Array.isArray(value) && value.length === 0) ? 'none' : String(value)
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
const snake = (name: string): string => kebab(name).replaceAll('-', '_').toUpperCase()

function splitOnce(value: string, separator: string): [string, string | undefined] {
  const at = value.indexOf(separator)
  return at < 0 ? [value, undefined] : [value.slice(0, at), value.slice(at + 1)]
}
