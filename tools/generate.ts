// Generates api/proto/*.ts from api/proto/*.proto with buf and ts-proto. `--check` only compares, for CI.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'

const root = resolve(import.meta.dirname, '..')
const protoFolder = join(root, 'api/proto')

/** Plain interfaces, typed stubs of both sides for grpc-js, 64-bit integers as bigint, one-ofs as tagged unions. */
const options = [
  'outputServices=grpc-js',
  'esModuleInterop=true',
  'importSuffix=.ts',
  'forceLong=bigint',
  'useOptionals=messages',
  'exportCommonSymbols=false',
  'env=node',
  'oneof=unions-value',
  'enumsAsLiterals=true',
  'outputJsonMethods=false',
  'outputPartialMethods=true',
  'useExactTypes=false',
  'unrecognizedEnum=false',
  'removeEnumPrefix=true',
  'useReadonlyTypes=false',
]

/** Generates into memory: file name to text. */
export function generate(folder = protoFolder): ReadonlyMap<string, string> {
  const out = mkdtempSync(join(tmpdir(), 'skiff-generate-'))
  try {
    const template = {
      version: 'v2',
      plugins: [{ local: ['node', join(root, 'node_modules/ts-proto/protoc-gen-ts_proto')], out, opt: options }],
    }
    const buf = join(root, 'node_modules/.bin/buf')
    const result = spawnSync(buf, ['generate', '--template', JSON.stringify(template), folder], { cwd: root, encoding: 'utf8' })
    if (result.status !== 0) throw new Error(`buf generate failed: ${result.stderr}${result.error?.message ?? ''}`)
    const files = readdirSync(out).filter((name) => name.endsWith('.ts'))
    return new Map(files.map((name) => [name, tidy(name, readFileSync(join(out, name), 'utf8'))]))
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
}

function tidy(name: string, text: string): string {
  const body = text.replace(/^\/\* eslint-disable \*\/\n/m, '')
  return `// Generated from ${name.replace(/\.ts$/, '.proto')} by tools/generate.ts. Do not edit: change the .proto and run npm run generate.\n${body}`
}

/** The names of generated files that are missing or differ from what the .proto files give. */
export function staleFiles(folder = protoFolder): readonly string[] {
  const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '')
  return [...generate(folder)].filter(([name, text]) => read(join(folder, name)) !== text).map(([name]) => name)
}

export function hasProtos(folder = protoFolder): boolean {
  return existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.proto'))
}

if (import.meta.main) {
  if (!hasProtos()) {
    process.stdout.write('generate: no .proto files in api/proto yet\n')
  } else if (process.argv.includes('--check')) {
    const stale = staleFiles()
    if (stale.length > 0) process.stdout.write(`generate: out of date: ${stale.join(', ')}; run npm run generate\n`)
    process.exitCode = stale.length === 0 ? 0 : 1
  } else {
    for (const [name, text] of generate()) {
      writeFileSync(join(protoFolder, name), text)
      process.stdout.write(`generate: api/proto/${name}\n`)
    }
  }
}
