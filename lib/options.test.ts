import { expect, test } from 'vitest'
import { duration, formatDuration, int, list, optionsHelp, parseDuration, readOptions, text } from './options.ts'

const defs = {
  dataDir: text({ help: 'Where data lies' }),
  apiPort: int({ help: 'The port', default: 6443 }),
  gracePeriod: duration({ help: 'How long', default: 40_000 }),
  etcdEndpoints: list({ help: 'An etcd', default: [] }),
}
const read = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) => readOptions('SKIFF_X', defs, { argv, env })

test('a flag goes before the environment, and that before the default', () => {
  const env = { SKIFF_X_DATA_DIR: '/env', SKIFF_X_API_PORT: '1' }
  expect(read(['--api-port=2', '--etcd-endpoints', 'a,b'], env)).toEqual({
    dataDir: '/env',
    apiPort: 2,
    gracePeriod: 40_000,
    etcdEndpoints: ['a', 'b'],
  })
})

test.each([
  [[], '--data-dir is required'],
  [['--data-dir'], '--data-dir needs a value'],
  [['--data-folder=/x'], 'unknown flag "--data-folder"'],
  [['--data-dir=/x', '--api-port=http'], '--api-port: "http" is not a whole number'],
  [['--data-dir=/x', '--grace-period=40'], '--grace-period: "40" is not a duration such as 40s or 5m'],
])('%j is refused by name', (argv, message) => {
  expect(() => read(argv)).toThrow(message)
})

test('durations are written as they are read', () => {
  for (const written of ['0', '500ms', '40s', '1m30s', '1h30m', '24h', '1s500ms'])
    expect(formatDuration(parseDuration(written))).toBe(written)
})

test('the help names type and default of each option', () => {
  expect(optionsHelp(defs).match(/\(.*\)/g)).toEqual([
    '(text)',
    '(int, default 6443)',
    '(duration, default 40s)',
    '(list, default none)',
  ])
})
