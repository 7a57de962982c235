import type { Chance } from '../sim/chance.ts'

/** Where a value stands: `['spec', 'containers', 0, 'image']`. */
export type Path = readonly (string | number)[]

export interface Mutated {
  readonly value: unknown
  /** What was done and where, for whoever reads a failure. */
  readonly what: string
  /** The place, if just one was touched. */
  readonly path: Path
}

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null

/** Every place inside a value, the value itself left out. */
function placesOf(value: unknown, path: Path = []): readonly Path[] {
  if (!isContainer(value)) return []
  const keys = Array.isArray(value) ? value.keys() : Object.keys(value)
  return [...keys].flatMap((key) => {
    const here = [...path, key]
    return [here, ...placesOf(Reflect.get(value, key), here)]
  })
}

/** Sets without assignment: a key may be called like the way to the prototype. */
function put(target: object, key: string | number, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}

export const nested = (levels: number, key = ''): unknown => {
  let value: unknown = 'end'
  for (let level = 0; level < levels; level++) value = key === '' ? [value] : { [key]: value }
  return value
}

/** Names that objects of JavaScript have from birth, or that lead to a prototype. */
export const innateKeys = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'length',
  'then',
  'toJSON',
]

const texts: readonly string[] = [
  '',
  ' ',
  '-',
  '.',
  '..',
  '../../etc/passwd',
  'a/b',
  '%2e%2e',
  'A_b',
  'a.',
  'x'.repeat(254),
  'a\u0000b',
  '\u0000',
  'a\nb',
  'a\r\nx: y',
  '\u001b[31m',
  '\ud800',
  'x\udfffy',
  '\ufeffa',
  '\u202eabc',
  '😀'.repeat(20),
  '$(A)$(B)',
  '<script>',
  '{{x}}',
  '1e400',
  '0x10',
  'NaN',
  'true',
  'null',
  '9'.repeat(400),
  '1'.repeat(60),
  '1e999999999',
  '1e-999999999',
  '-1Ki',
  '2006-01-02T15:04:05Z',
  '9999-12-31T23:59:60Z',
  '0000-00-00T00:00:00Z',
  '300.1.1.1/8',
  '::1/129',
  'unix:///var/run/docker.sock',
  '/proc',
  '/',
  '101%',
  '-5%',
  ...innateKeys,
]

const numbers: readonly number[] = [-1, 0, 1, 1.5, -0, 65_536, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 1e21, 1e300, 5e-324]

/** Long ones against each grammar's worst case. */
function longText(chance: Chance): string {
  const unit = chance.pick(['a', 'a.', '-', '0', '9', '/', 'a-', '=', ',', '(', '"', '\\', ' ', '\u00e9', '$(', '1.', 'a:'])
  return unit.repeat(chance.pick([64, 300, 5_000, 50_000, 300_000]))
}

const strangeObjects: readonly (() => unknown)[] = [
  () => ({}),
  () => [],
  () => [null],
  () => [[]],
  () => ({ toString: 1, valueOf: 1 }),
  () => ({ length: 4_294_967_296 }),
  () => ({ toJSON: 'x' }),
  () => JSON.parse('{"then":"x"}'),
  () => JSON.parse('{"__proto__":{"x":1}}'),
  () => JSON.parse('{"constructor":{"prototype":{"x":1}}}'),
  () => Array.from({ length: 3_000 }, () => 'x'),
  () => Array.from({ length: 3_000 }, (_, index) => ({ name: `n${index}` })),
  () => Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`k${index}`, 'v'])),
]

/** A value that few places take. */
export function evilValue(chance: Chance): unknown {
  return chance.weighted<() => unknown>([
    [4, () => chance.pick(texts)],
    [3, () => chance.pick(numbers)],
    [2, () => chance.pick([() => true, () => false, () => null])()],
    [3, () => chance.pick(strangeObjects)()],
    [1, () => longText(chance)],
    [1, () => nested(chance.pick([5, 60, 99, 101, 1_000]), chance.pick(['', 'a', 'spec']))],
  ])()
}

const evilKey = (chance: Chance): string =>
  chance.pick([...innateKeys, '', ' ', 'nope', 'Spec', 'spec.x', 'a/b/c', '\u0000', '$patch', 'x'.repeat(5_000)])

type Change = (at: { parent: object; key: string | number; chance: Chance }) => string

const replaced: Change = ({ parent, key, chance }) => {
  put(parent, key, evilValue(chance))
  return 'another value'
}

const removed: Change = ({ parent, key }) => {
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else Reflect.deleteProperty(parent, key)
  return 'taken away'
}

const added: Change = ({ parent, chance }) => {
  const key = Array.isArray(parent) ? parent.length : evilKey(chance)
  put(parent, key, evilValue(chance))
  return `beside it ${JSON.stringify(key).slice(0, 60)}`
}

const renamed: Change = ({ parent, key, chance }) => {
  if (Array.isArray(parent)) return replaced({ parent, key, chance })
  const value: unknown = Reflect.get(parent, key)
  Reflect.deleteProperty(parent, key)
  put(parent, evilKey(chance), value)
  return 'under another name'
}

const repeated: Change = ({ parent, key, chance }) => {
  const value: unknown = Reflect.get(parent, key)
  put(
    parent,
    key,
    Array.from({ length: chance.pick([2, 30, 1_001]) }, () => value),
  )
  return 'many times'
}

const changes: readonly (readonly [number, Change])[] = [
  [8, replaced],
  [2, removed],
  [2, added],
  [1, renamed],
  [1, repeated],
]

/** A copy of a value with one thing wrong somewhere inside. Does not touch `original`. */
export function mutate(original: unknown, chance: Chance): Mutated {
  const value: unknown = structuredClone(original)
  const places = placesOf(value)
  if (places.length === 0) return { value: evilValue(chance), what: 'the whole', path: [] }
  const path = chance.pick(places)
  const key = path.at(-1) ?? ''
  const parent = path.slice(0, -1).reduce<unknown>((at, step) => Reflect.get(Object(at), step), value)
  const change = chance.weighted(changes)
  const what = change({ parent: Object(parent), key, chance })
  const isBeside = change === added || change === renamed
  return { value, what: `${path.join('.')}: ${what}`, path: isBeside ? path.slice(0, -1) : path }
}

type Damage = (text: Buffer, chance: Chance) => Buffer

const spliced = (text: Buffer, at: number, drop: number, more: Uint8Array | string): Buffer =>
  Buffer.concat([text.subarray(0, at), Buffer.from(more), text.subarray(at + drop)])

const damages: Readonly<Record<string, Damage>> = {
  'cut off': (text, chance) => text.subarray(0, chance.int(0, text.length - 1)),
  'a byte changed': (text, chance) => spliced(text, chance.int(0, text.length - 1), 1, Uint8Array.of(chance.int(0, 255))),
  'a byte more': (text, chance) => spliced(text, chance.int(0, text.length), 0, Uint8Array.of(chance.int(0, 255))),
  'a piece missing': (text, chance) => spliced(text, chance.int(0, text.length - 1), chance.int(1, 40), ''),
  'a piece twice': (text, chance) => {
    const from = chance.int(0, text.length - 1)
    return spliced(text, from, 0, text.subarray(from, from + chance.int(1, 200)))
  },
  NUL: (text, chance) => spliced(text, chance.int(0, text.length), 0, '\0'),
  'not UTF-8': (text, chance) =>
    spliced(
      text,
      chance.int(0, text.length),
      0,
      chance.pick([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80], [0x80]].map((bytes) => Uint8Array.from(bytes))),
    ),
  'a mark of byte order': (text) => spliced(text, 0, 0, '\ufeff'),
  'as UTF-16': (text) => Buffer.from(text.toString(), 'utf16le'),
  'something behind it': (text, chance) =>
    spliced(text, text.length, 0, chance.pick(['{}', '\n---\n', ']', '\0', 'x', '//', ' '.repeat(5_000)])),
  'a bracket storm': (text, chance) =>
    spliced(
      text,
      chance.int(0, text.length),
      0,
      chance.pick(['[', '{', '{"a":', '- ', '"', '\\"', '? ', '&a ', '!!']).repeat(chance.pick([3, 200, 20_000])),
    ),
  'another number': (text, chance) => {
    const other = chance.pick([
      '1e400',
      '-0',
      '0x10',
      'NaN',
      'Infinity',
      '01',
      '1.',
      '.5',
      '9007199254740993',
      '2147483648',
      '+1',
      '1_000',
      '-1',
      '1e0',
    ])
    return Buffer.from(text.toString().replace(/(?<=: ?)\d+/, other))
  },
  'a key twice': (text, chance) => {
    const keys = [...text.toString().matchAll(/"(\w+)":/g)]
    if (keys.length === 0) return text
    const { 0: key, index } = chance.pick(keys)
    return Buffer.from(
      `${text.toString().slice(0, index)}${key}${chance.pick(['null', '1', '{}', '""', '[]'])},${text.toString().slice(index)}`,
    )
  },
}

/** An encoded body with something wrong in its text. */
export function damage(text: Buffer, chance: Chance): { readonly bytes: Buffer; readonly what: string } {
  const what = chance.pick(Object.keys(damages))
  const bytes = text.length === 0 ? Buffer.from([chance.int(0, 255)]) : (damages[what]?.(text, chance) ?? text)
  return { bytes, what }
}
