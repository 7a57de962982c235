// Bundles each program into one file: a process that starts from it loads faster and needs less memory.
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { build, type Plugin } from 'esbuild'

const root = resolve(import.meta.dirname, '..')
const outFolder = join(root, 'dist/programs')
const programs = ['controlplane', 'agent', 'ctl'] as const
const sourceFolders = ['lib', 'api', 'client', 'controlplane', 'agent', 'ctl', 'tools/build.ts', 'package-lock.json']

/** CommonJS libraries inside an ESM bundle expect these names. */
const banner = [
  "import { createRequire as __createRequire } from 'node:module'",
  'const require = __createRequire(import.meta.url)',
  'const __filename = import.meta.filename',
  'const __dirname = import.meta.dirname',
].join(';')

/** Native addons are optional everywhere we use them; their absence takes the library's own fallback. */
const noAddons: Plugin = {
  name: 'no-addons',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /(\.node|^cpu-features)$/ }, (args) => ({ path: args.path, namespace: 'no-addons' }))
    onLoad({ filter: /.*/, namespace: 'no-addons' }, (args) => ({
      contents: `throw new Error(${JSON.stringify(`native addon ${args.path} is not bundled`)})`,
    }))
  },
}

/** dockerode's way to engines behind SSH, which Skiff has not. Loading it takes 16 MiB for a program of its ciphers. */
const noSsh: Plugin = {
  name: 'no-ssh',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^ssh2$/ }, (args) => ({ path: args.path, namespace: 'no-ssh' }))
    onLoad({ filter: /.*/, namespace: 'no-ssh' }, () => ({ contents: 'module.exports = {}' }))
  },
}

/** Builds the programs whose sources exist. Gives back the names of those built. */
export async function buildPrograms(): Promise<readonly string[]> {
  const present = programs.filter((name) => existsSync(join(root, name, 'main.ts')))
  for (const name of programs)
    if (!present.includes(name)) process.stdout.write(`build: ${name}/main.ts does not exist yet, skipped\n`)
  if (present.length === 0) return present
  await build({
    entryPoints: present.map((name) => ({ in: join(root, name, 'main.ts'), out: name })),
    outdir: outFolder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    sourcemap: 'linked',
    sourcesContent: false,
    keepNames: true,
    // A program keeps its text in memory, at two bytes a character if a single one is not ASCII.
    charset: 'ascii',
    legalComments: 'external',
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    logLevel: 'warning',
    absWorkingDir: root,
    banner: { js: banner },
    plugins: [noAddons, noSsh],
  })
  for (const name of present) cheapenNames(join(outFolder, `${name}.mjs`))
  copyProtos()
  return present
}

/**
 * The bundler sets the name of each function anew whenever it is made, also of the small ones that each request makes:
 * 4 % of a busy control plane's time. Only names of what can be constructed are ever read.
 */
function cheapenNames(file: string): void {
  const text = readFileSync(file, 'utf8')
  const setter = '__name=(target,value)=>__defProp('
  if (!text.includes(setter)) throw new Error(`${file}: the bundler keeps names in another way than is known`)
  writeFileSync(file, text.replace(setter, '__name=(target,value)=>target.prototype===void 0?target:__defProp('))
}

/** etcd3 and dockerode load .proto files relative to their own file at run time: for a bundle that is ../proto and ./proto. */
function copyProtos(): void {
  const target = join(root, 'dist/proto')
  rmSync(target, { recursive: true, force: true })
  cpSync(join(root, 'node_modules/etcd3/proto'), target, { recursive: true })
  const dockerode = join(root, 'node_modules/dockerode/lib/proto')
  if (existsSync(dockerode)) cpSync(dockerode, join(outFolder, 'proto'), { recursive: true })
}

/** True if a bundle is missing or older than a source. */
export function isStale(): boolean {
  const built = programs
    .filter((name) => existsSync(join(root, name, 'main.ts')))
    .map((name) => mtime(join(outFolder, `${name}.mjs`)))
  const oldest = Math.min(...built)
  return built.length === 0 || sourceFolders.some((path) => newestUnder(join(root, path)) > oldest)
}

function mtime(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function newestUnder(path: string): number {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return mtime(path)
  const entries = readdirSync(path, { withFileTypes: true, recursive: true }).filter(
    (entry) => entry.isFile() && !entry.name.includes('.test.'),
  )
  return Math.max(0, ...entries.map((entry) => mtime(join(entry.parentPath, entry.name))))
}

if (import.meta.main) {
  const built = await buildPrograms()
  process.stdout.write(`build: ${built.length === 0 ? 'nothing to build' : `${built.join(', ')} in ${outFolder}`}\n`)
}
