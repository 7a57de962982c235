/**
 * Kubernetes' resource.Quantity: `100m`, `1.5`, `64Mi`, `1e3`. Exact: kept as a number of nano-units, which is also
 * Kubernetes' finest step (finer ones are rounded up).
 */
const binary: Readonly<Record<string, bigint>> = {
  Ki: 1024n,
  Mi: 1024n ** 2n,
  Gi: 1024n ** 3n,
  Ti: 1024n ** 4n,
  Pi: 1024n ** 5n,
  Ei: 1024n ** 6n,
}
const decimalExponent: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }
const pattern = /^([+-]?)(\d*)(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E(?!\d|[+-])|[eE]([+-]?\d{1,3}))?$/
const nano = 1_000_000_000n
const digitLimit = 64
/** Kubernetes counts in 64 bits, and nothing here is larger. */
const limit = (2n ** 63n - 1n) * nano

export type Quantity = string | number

/** Whether `text` follows the grammar of quantities. */
export function isQuantity(text: Quantity): boolean {
  return nanosOf(text) !== undefined
}

/** Few different ones occur, each very often, and reckoning with big integers takes its time. */
class Remembered<T> {
  readonly #known = new Map<string, T>()
  readonly #reckon: (text: string) => T

  constructor(reckon: (text: string) => T) {
    this.#reckon = reckon
  }

  of(text: string): T {
    const known = this.#known.get(text)
    if (known !== undefined) return known
    const result = this.#reckon(text)
    if (this.#known.size >= rememberedLimit) this.#known.clear()
    this.#known.set(text, result)
    return result
  }
}

const rememberedLimit = 500
const knownNanos = new Remembered(reckonedNanos)
const written = new Remembered((text) => write(must(text), formOf(text)))

/** Nano-units; undefined when it is no quantity. */
function nanosOf(quantity: Quantity): bigint | undefined {
  const text = String(quantity)
  return text.length > digitLimit ? undefined : knownNanos.of(text)
}

function reckonedNanos(text: string): bigint | undefined {
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', suffix = '', exponent] = match
  if (whole === '' && fraction === '') return undefined
  const digits = BigInt(`${whole}${fraction}`)
  const size = scale(digits, fraction.length, suffix, exponent)
  if (size > limit) return undefined
  return sign === '-' ? -size : size
}

function scale(digits: bigint, fractionDigits: number, suffix: string, exponent: string | undefined): bigint {
  const factor = binary[suffix]
  if (factor !== undefined) return divideUp(digits * factor * nano, 10n ** BigInt(fractionDigits))
  const power = (exponent === undefined ? (decimalExponent[suffix] ?? 0) : Number(exponent)) + 9 - fractionDigits
  return power >= 0 ? digits * 10n ** BigInt(power) : divideUp(digits, 10n ** BigInt(-power))
}

const divideUp = (a: bigint, b: bigint): bigint => (a + b - 1n) / b

function must(quantity: Quantity): bigint {
  const nanos = nanosOf(quantity)
  if (nanos === undefined) throw new RangeError(`"${quantity}" is not a quantity such as 500m or 64Mi`)
  return nanos
}

function roundedUp(nanos: bigint, unit: bigint): number {
  return Number(nanos >= 0n ? divideUp(nanos, unit) : -(-nanos / unit))
}

/** Thousandths, rounded up: CPU in milli-CPUs. Throws RangeError when it is no quantity. */
export function quantityMilli(quantity: Quantity): number {
  return roundedUp(must(quantity), 1_000_000n)
}

/** Whole units, rounded up: memory in bytes. Throws RangeError when it is no quantity. */
export function quantityValue(quantity: Quantity): number {
  return roundedUp(must(quantity), nano)
}

/** Below, equal, above: negative, 0, positive. */
export function compareQuantity(a: Quantity, b: Quantity): number {
  const difference = must(a) - must(b)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

export function addQuantities(a: Quantity, b: Quantity): string {
  return write(must(a) + must(b), formOf(a))
}

/** The one way to write it: the largest suffix that leaves a whole number, of the family (binary or decimal) it came in. */
export function formatQuantity(quantity: Quantity): string {
  return written.of(String(quantity))
}

type Form = 'binary' | 'exponent' | 'decimal'

function formOf(quantity: Quantity): Form {
  const text = String(quantity)
  if (text.endsWith('i')) return 'binary'
  return /[eE][+-]?\d/.test(text) ? 'exponent' : 'decimal'
}

function write(nanos: bigint, form: Form): string {
  if (nanos === 0n) return '0'
  const sign = nanos < 0n ? '-' : ''
  const size = nanos < 0n ? -nanos : nanos
  if (form === 'binary' && size % nano === 0n && size >= 1024n * nano) return sign + writeBinary(size / nano)
  return sign + writeDecimal(size, form)
}

function writeBinary(value: bigint): string {
  const suffix = Object.entries(binary)
    .reverse()
    .find(([, factor]) => value % factor === 0n)
  return suffix === undefined ? String(value) : `${value / suffix[1]}${suffix[0]}`
}

function writeDecimal(size: bigint, form: Form): string {
  const steps = Object.entries(decimalExponent).sort(([, a], [, b]) => b - a)
  const found = steps.find(([, exponent]) => size % 10n ** BigInt(exponent + 9) === 0n) ?? (['n', -9] as const)
  const [suffix, exponent] = found
  const count = size / 10n ** BigInt(exponent + 9)
  if (form === 'exponent' && exponent !== 0) return `${count}e${exponent}`
  return `${count}${suffix}`
}
