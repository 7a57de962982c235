import { type Command as Commander, InvalidArgumentError, Option } from 'commander'
import { formatDuration, OptionError, parseDuration } from '../lib/options.ts'

/** A command's flag, declared once: parsing, help and the value's type derive from it. */
export interface FlagDef<T> {
  readonly short?: string
  readonly help: string
  readonly default?: unknown
  /** How the value is called in the help; absent for a switch. */
  readonly value?: string
  readonly repeat?: boolean
  /** What `--x` without `=value` stands for; `--x value` is not possible then. */
  readonly preset?: string
  parse?(text: string, previous: unknown): unknown
  /** Never set: carries the type. */
  readonly __type?: T
}

interface Settings {
  readonly short?: string
  readonly help: string
}

export type FlagDefs = Readonly<Record<string, FlagDef<unknown>>>
export type FlagValues<F extends FlagDefs> = { readonly [K in keyof F]: F[K] extends FlagDef<infer T> ? T : never }

export const text = (s: Settings & { value?: string }): FlagDef<string | undefined> => ({ value: 'text', ...s })
export const textOr = (fallback: string, s: Settings & { value?: string }): FlagDef<string> => ({
  value: 'text',
  ...s,
  default: fallback,
})
/** `--x` stands for `--x=preset`. */
export const textWithPreset = (preset: string, s: Settings & { value?: string }): FlagDef<string | undefined> => ({
  value: 'text',
  ...s,
  preset,
})
export const toggle = (s: Settings): FlagDef<boolean> => ({ ...s, default: false })
/** `--no-NAME`: true unless given. */
export const off = (s: Settings): FlagDef<boolean> => ({ ...s, default: true })
/** May be given several times, or once with commas. */
export const texts = (s: Settings & { value?: string }): FlagDef<readonly string[]> => ({
  value: 'text',
  ...s,
  default: [],
  repeat: true,
  parse: (value, previous) => [...((previous ?? []) as readonly string[]), value],
})
export const int = (s: Settings): FlagDef<number | undefined> => ({
  value: 'number',
  ...s,
  parse: (value) => {
    if (!/^-?\d{1,12}$/.test(value)) throw new InvalidArgumentError('It must be a whole number.')
    return Number(value)
  },
})
/** Milliseconds. */
export const duration = (s: Settings & { default?: number }): FlagDef<number> => ({
  value: 'duration',
  ...s,
  parse: (value) => {
    try {
      return parseDuration(value)
    } catch (err) {
      if (err instanceof OptionError) throw new InvalidArgumentError(`${err.message}.`)
      throw err
    }
  },
})

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** The flag as it is typed: `--dry-run`, or `--no-wait` for what is on unless switched off. */
export const longOf = (name: string, { default: value }: FlagDef<unknown>): string =>
  `--${value === true ? 'no-' : ''}${kebab(name)}`

/** Teaches a commander command the flags. */
export function addFlags(command: Commander, defs: FlagDefs): void {
  for (const [name, def] of Object.entries(defs)) {
    const value = def.value === undefined ? '' : ` <${def.value}>`
    const option = new Option(`${def.short === undefined ? '' : `-${def.short}, `}${longOf(name, def)}${value}`, def.help)
    const said = defaultText(def)
    if (said !== undefined) option.default(def.default, said)
    if (def.parse !== undefined) option.argParser(def.parse)
    command.addOption(option)
  }
}

/** What the help says of a default; nothing of one that goes without saying. */
function defaultText({ value, default: fallback }: FlagDef<unknown>): string | undefined {
  if (fallback === 0) return undefined
  if (typeof fallback === 'number') return value === 'duration' ? formatDuration(fallback) : String(fallback)
  return typeof fallback === 'string' ? fallback : undefined
}
