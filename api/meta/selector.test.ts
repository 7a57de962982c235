import { expect, test } from 'vitest'
import { equalitySelector, formatLabelSelector, labelSelector, parseFieldSelector, parseLabelSelector } from './selector.ts'
import { StatusError } from './status.ts'

const labels = { app: 'web', tier: 'front', size: '5' }

test.each([
  ['', true],
  ['app=web', true],
  ['app==web', true],
  ['app=db', false],
  ['app!=db', true],
  ['other!=db', true],
  ['app in (web, db)', true],
  ['app notin (web)', false],
  ['other notin (web)', true],
  ['app', true],
  ['!app', false],
  ['! other', true],
  ['app=web,tier=back', false],
  ['app in (a,web),tier', true],
  ['size>4', true],
  ['size<4', false],
  ['empty=', false],
])('%j matches: %s', (text, expected) => {
  expect(parseLabelSelector(text)(labels)).toBe(expected)
})

test.each(['=x', 'app=', 'app in', 'app in (a', 'a b', 'app=a=b', 'app in (a b)'].filter((text) => text !== 'app='))(
  '%j is refused and quoted',
  (text) => {
    expect(() => parseLabelSelector(text)).toThrow(StatusError)
    expect(() => parseLabelSelector(text)).toThrow('unable to parse requirement')
  },
)

test('labels of the prototype are no labels', () => {
  expect(parseLabelSelector('constructor')({})).toBe(false)
})

test('an absent selector matches nothing, an empty one everything', () => {
  expect(labelSelector(undefined)(labels)).toBe(false)
  expect(labelSelector({})(labels)).toBe(true)
  expect(equalitySelector({})(labels)).toBe(false)
  expect(equalitySelector({ app: 'web' })(labels)).toBe(true)
})

test('expressions and labels must all hold, and are written in the query grammar', () => {
  const selector = {
    matchLabels: { app: 'web' },
    matchExpressions: [
      { key: 'tier', operator: 'In', values: ['front', 'back'] },
      { key: 'old', operator: 'DoesNotExist' },
    ],
  } as const
  expect(labelSelector(selector)(labels)).toBe(true)
  expect(labelSelector(selector)({ ...labels, old: '' })).toBe(false)
  const text = formatLabelSelector(selector)
  expect(text).toBe('app=web,tier in (back,front),!old')
  expect(parseLabelSelector(text)(labels)).toBe(true)
})

test('field selectors are read', () => {
  expect(parseFieldSelector('metadata.name=a,status.phase!=Running')).toEqual([
    { field: 'metadata.name', value: 'a', equal: true },
    { field: 'status.phase', value: 'Running', equal: false },
  ])
  expect(() => parseFieldSelector('nonsense')).toThrow("invalid selector: 'nonsense'")
})
