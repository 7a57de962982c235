import { expect, test } from 'vitest'
import { normalizeArgv } from './argv.ts'
import { commands } from './commands/registry.ts'
import { inKubectlWords } from './wording.ts'

const line = (text: string) => normalizeArgv(text.split(' '), commands).argv.join(' ')

test.each([
  ['-n web get pods', 'get -n web pods'],
  ['--namespace=web --context two rollout status deploy/a', 'rollout status --namespace=web --context two deploy/a'],
  ['rollout -n web status deploy/a', 'rollout status -n web deploy/a'],
  ['-nweb get pods -o wide', 'get -nweb pods -o wide'],
  ['delete pod a --wait=false', 'delete pod a --no-wait'],
  ['delete pod a --wait=true --wait', 'delete pod a'],
  ['delete pod a --now=true --force=false', 'delete pod a --now'],
  ['get pods --no-headers=true', 'get pods --no-headers'],
  ['get pods --no-headers=false', 'get pods'],
  ['get pods -l a=b --sort-by=.metadata.name', 'get pods -l a=b --sort-by=.metadata.name'],
  ['apply -f a.yaml --dry-run', 'apply -f a.yaml --dry-run=server'],
  ['apply -f a.yaml --dry-run=none', 'apply -f a.yaml --dry-run=none'],
  ['nothing -n web', 'nothing -n web'],
])('%s is read as %s', (typed, expected) => {
  expect(line(typed)).toBe(expected)
})

test('what stands after -- is left alone', () => {
  expect(normalizeArgv(['exec', 'a', '--', '-n', '--wait=false'], commands)).toEqual({
    argv: ['exec', 'a'],
    rest: ['-n', '--wait=false'],
  })
})

test('a switch that is neither true nor false is an error', () => {
  expect(() => line('delete pod a --wait=maybe')).toThrow('invalid argument "maybe" for "--wait" flag')
})

test.each([
  ["error: unknown option '--foo'\n", "error: unknown flag: --foo\nSee 'ctl get --help' for usage.\n"],
  ["error: unknown option '-X'\n", "error: unknown shorthand flag: 'X' in -X\nSee 'ctl get --help' for usage.\n"],
  [
    "error: unknown command 'gte'\n(Did you mean get?)\n",
    'error: unknown command "gte" for "ctl get"\n\nDid you mean this?\n\tget\nSee \'ctl get --help\' for usage.\n',
  ],
  [
    "error: option '-o, --output <format>' argument missing\n",
    "error: flag needs an argument: --output\nSee 'ctl get --help' for usage.\n",
  ],
  [
    "error: option '--tail <number>' argument 'x' is invalid. It must be a whole number.\n",
    'error: invalid argument "x" for "--tail" flag: It must be a whole number\nSee \'ctl get --help\' for usage.\n',
  ],
])('%j is said as kubectl says it', (message, expected) => {
  expect(inKubectlWords(message, 'ctl get')).toBe(expected)
})
