// Who may import whom: the table of docs/architecture.md as data, and the check of one file against it.
import { dirname, join, normalize } from 'node:path'

/** One import statement of a file. */
export interface Import {
  readonly specifier: string
  readonly line: number
}

interface Rule {
  /** The part of the source tree that the rule is about; the first rule that matches a file counts. */
  readonly from: RegExp
  /** The parts that it may import, itself always included. */
  readonly may: readonly RegExp[]
  /** False where not even Node's built-ins may be imported. */
  readonly builtins?: false
  /** False where npm packages may not be imported. */
  readonly packages?: false
}

const lib = /^lib\//
const api = /^api\//
const client = /^client\//
const controlplane = /^controlplane\//
const anything = /./

const rules: readonly Rule[] = [
  { from: /^(e2e|bench|tools|deploy)\//, may: [anything] },
  { from: /^[^/]+$/, may: [] },
  { from: lib, may: [] },
  { from: api, may: [/^lib\/assert\.ts$/], builtins: false },
  { from: client, may: [lib, api] },
  { from: /^controlplane\/[^/]+\.ts$/, may: [lib, api, client, controlplane] },
  { from: /^controlplane\/testing\//, may: [lib, api, client, controlplane] },
  { from: /^controlplane\/store\//, may: [lib, api] },
  { from: /^controlplane\/registry\//, may: [lib, api, /^controlplane\/store\/(store|watch-cache|keys|codec)\.ts$/] },
  { from: /^controlplane\/apiserver\//, may: [lib, api, /^controlplane\/registry\//] },
  { from: /^controlplane\/(controllers|scheduler|gateway)\//, may: [lib, api, client] },
  { from: controlplane, may: [lib, api, client] },
  { from: /^agent\/(agent|main)\.ts$/, may: [lib, api, /^agent\//] },
  { from: /^agent\/runtime\//, may: [lib, api, /^agent\//] },
  { from: /^agent\//, may: [lib, api, /^agent\/(?!runtime\/(docker|hollow)\/)/] },
  { from: /^ctl\//, may: [lib, api, client] },
]

/** What npm packages need a lock on the door: each stays behind one folder, so that it can be replaced. */
const keptPackages: Readonly<Record<string, RegExp>> = {
  etcd3: /^(controlplane\/store|e2e|bench|tools)\//,
  dockerode: /^(agent\/runtime\/docker|e2e|bench|tools)\//,
}

/** The unit whose files may import each other freely: the folder that the rules name. */
function room(file: string): string {
  const depth = file.startsWith('controlplane/') ? 2 : 1
  return file.split('/').slice(0, depth).join('/')
}

function isTest(file: string): boolean {
  return /\.test\.ts$|\/testing\//.test(file)
}

/** All static, dynamic and re-exporting imports of a source text. */
export function importsOf(text: string): readonly Import[] {
  const pattern =
    /(?:^|[\s;}])(?:import|export)\s[^'"`;=()]*?from\s*['"]([^'"]+)['"]|(?:^|\n)import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g
  const lineAt = (index: number): number => text.slice(0, index).split('\n').length
  return [...text.matchAll(pattern)].map((match) => ({
    specifier: match[1] ?? match[2] ?? match[3] ?? '',
    line: lineAt(match.index + match[0].length),
  }))
}

/** Says what is wrong with a file's imports, one line each. */
export function badImports(file: string, text: string): readonly string[] {
  return importsOf(text).flatMap(({ specifier, line }) => {
    const why = specifier.startsWith('.') ? badRelative(file, specifier) : badPackage(file, specifier)
    return why === undefined ? [] : [`${file}:${line} imports "${specifier}": ${why}`]
  })
}

function badRelative(file: string, specifier: string): string | undefined {
  const target = normalize(join(dirname(file), specifier))
  if (/^(e2e|bench|tools)\//.test(target) && !/^(e2e|bench|tools|deploy)\/|^[^/]+$/.test(file))
    return `nobody imports ${room(target)}`
  if (isTest(file) && (target.includes('/testing/') || target.endsWith('/conformance.ts'))) return undefined
  // What an agent does is tried on the real engine and on the hollow one.
  if (isTest(file) && file.startsWith('agent/') && target.startsWith('agent/runtime/')) return undefined
  const rule = rules.find(({ from }) => from.test(file))
  if (rule === undefined) return `no rule for ${file}: add one to tools/imports.ts`
  if (rule.may.some((part) => part.test(target))) return undefined
  const isHomeOnly = room(target) === room(file) && file.includes('/') && !file.startsWith('agent/')
  return isHomeOnly ? undefined : `${room(file)} may not import ${target}`
}

function badPackage(file: string, specifier: string): string | undefined {
  const rule = rules.find(({ from }) => from.test(file))
  const isBuiltin = specifier.startsWith('node:')
  if (isBuiltin && rule?.builtins === false && !isTest(file)) return `${room(file)} stays free of Node built-ins`
  const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : (specifier.split('/')[0] ?? specifier)
  const kept = keptPackages[name]
  return kept === undefined || kept.test(file) ? undefined : `${name} stays behind ${kept.source}`
}
