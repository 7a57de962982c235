import { Command } from 'commander'
import { expect, test } from 'vitest'
import { addFlags, duration, int, off, text, textOr, texts, toggle } from './flags.ts'

const command = (): Command => {
  const made = new Command('x').exitOverride().configureOutput({ writeErr: () => undefined })
  addFlags(made, {
    filename: texts({ short: 'f', help: 'Files' }),
    recursive: toggle({ help: 'All' }),
    wait: off({ help: 'Leave early' }),
    timeout: duration({ help: 'How long', default: 90_000 }),
    since: duration({ help: 'Since', default: 0 }),
    restart: textOr('Always', { help: 'When' }),
    nodeName: text({ help: 'Node' }),
    replicas: int({ help: 'How many' }),
  })
  return made
}

test('the help tells defaults as one would write them, and none that goes without saying', () => {
  const help = command().helpInformation()
  expect(help.match(/default: [^)]*/g)).toEqual(['default: 1m30s', 'default: Always'])
})

test('values are read, and several of one flag add up', () => {
  const line = [
    '-f',
    'a',
    '--filename=b',
    '--recursive',
    '--no-wait',
    '--timeout',
    '1h30m',
    '--node-name',
    'n',
    '--replicas',
    '3',
  ]
  const values = command().parse(line, { from: 'user' }).opts()
  expect(values).toMatchObject({
    filename: ['a', 'b'],
    recursive: true,
    wait: false,
    timeout: 5_400_000,
    nodeName: 'n',
    replicas: 3,
  })
})

test.each([
  ['--timeout', 'soon', /"soon" is not a duration such as 40s or 5m/],
  ['--replicas', '3.5', /must be a whole number/],
])('%s %s is refused', (flag, value, message) => {
  expect(() => command().parse([flag, value], { from: 'user' })).toThrow(message)
})
