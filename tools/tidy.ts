// House rules that no linter knows. Each takes a file's path and text and says what is wrong, one line each.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { badImports } from './imports.ts'

export type Rule = (file: string, text: string) => readonly string[]

const root = resolve(import.meta.dirname, '..')
const sourceLimit = 400
const testLimit = 600

/** Files that were over the limit when it came. The number may only go down; take a file out once it is under the limit. */
const oversized: Readonly<Record<string, number>> = {}

const isTest = (file: string): boolean => /\.test\.ts$|\/conformance\.ts$|\/testing\//.test(file)
const mayUseTimers = (file: string): boolean =>
  isTest(file) || /^lib\/clock\.ts$|(^|\/)main\.ts$|^(tools|deploy|e2e|bench)\//.test(file)

const length: Rule = (file, text) => {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  const limit = oversized[file] ?? (isTest(file) ? testLimit : sourceLimit)
  return lines > limit ? [`${file} has ${lines} lines, the limit is ${limit}: split it`] : []
}

const defaultExport: Rule = (file, text) =>
  file.endsWith('.config.ts') ? [] : matches(file, text, /^export default\b|\bas default\b/, 'exports a default: name it')

const todo: Rule = (file, text) =>
  matches(file, text, /(\/\/|\*|#).*\b(TODO|FIXME|XXX)\b(?!.*#\d+)/, 'has a TODO without an issue number (write #12)')

const timer: Rule = (file, text) =>
  mayUseTimers(file)
    ? []
    : matches(
        file,
        text,
        /^(?!\s*(\/\/|\*)).*\b((setTimeout|setInterval)\(|Date\.now\b|new Date(\(\)|(?!\()))/,
        'touches the real clock: take a Clock',
      )

export const tidyRules = { imports: badImports, length, defaultExport, todo, timer } as const satisfies Record<string, Rule>

function matches(file: string, text: string, pattern: RegExp, why: string): readonly string[] {
  return text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1} ${why}`] : []))
}

/** The source files of the working tree, tracked or about to be, generated ones left out. */
export function sourceFiles(): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts'], { cwd: root, encoding: 'utf8' })
  const isOurs = (file: string): boolean => file !== '' && !file.startsWith('api/proto/') && existsSync(join(root, file))
  return [...new Set(listed.split('\n'))].filter(isOurs)
}

/** Everything that breaks a rule, in all source files. */
export function violations(rule: Rule): readonly string[] {
  return sourceFiles().flatMap((file) => rule(file, readFileSync(join(root, file), 'utf8')))
}
