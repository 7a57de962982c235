import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addQuantities, compareQuantity, formatQuantity, isQuantity, quantityMilli, quantityValue } from './quantity.ts'

test.each([
  ['100m', '100m', 100, 1],
  ['1', '1', 1000, 1],
  ['0.5', '500m', 500, 1],
  ['.5', '500m', 500, 1],
  ['1.5Gi', '1536Mi', 1_610_612_736_000, 1_610_612_736],
  ['64Mi', '64Mi', 67_108_864_000, 67_108_864],
  ['1024Ki', '1Mi', 1_048_576_000, 1_048_576],
  ['1000k', '1M', 1_000_000_000, 1_000_000],
  ['1e3', '1e3', 1_000_000, 1000],
  ['1E', '1E', 1e21, 1e18],
  ['100u', '100u', 1, 1],
  ['-1', '-1', -1000, -1],
  ['0', '0', 0, 0],
  ['0Mi', '0', 0, 0],
])('%s is written %s, is %d thousandths and %d units', (text, canonical, milli, value) => {
  expect(formatQuantity(text)).toBe(canonical)
  expect(quantityMilli(text)).toBe(milli)
  expect(quantityValue(text)).toBe(value)
})

test.each([
  '',
  'm',
  'abc',
  '1.2.3',
  '1 Mi',
  '1mi',
  '1KiB',
  '--1',
  '1e',
  '1ee3',
  `${'9'.repeat(100)}`,
  '1e99',
  '10E',
  '9223372036854775808',
])('%j is no quantity', (text) => {
  expect(isQuantity(text)).toBe(false)
  expect(() => quantityValue(text)).toThrow(RangeError)
})

test('numbers are quantities too', () => {
  expect(quantityMilli(0.25)).toBe(250)
})

test('writing changes neither the amount nor, a second time, the text', () => {
  const suffix = fc.constantFrom('', 'm', 'k', 'M', 'Ki', 'Mi', 'Gi', 'u', 'n')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000_000 }), suffix, (count, unit) => {
      const text = `${count}${unit}`
      const canonical = formatQuantity(text)
      expect(compareQuantity(canonical, text)).toBe(0)
      expect(formatQuantity(canonical)).toBe(canonical)
    }),
  )
})

test('sums are exact', () => {
  expect(addQuantities('100m', '900m')).toBe('1')
  expect(addQuantities('1Gi', '512Mi')).toBe('1536Mi')
  expect(addQuantities('0.1', '0.2')).toBe('300m')
})
