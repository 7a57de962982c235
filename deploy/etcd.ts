// etcd 3.5 or newer: the machine's own, or the next Debian release's package unpacked into .cache/etcd.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { type Mirror, ownMirror } from './apt.ts'
import { findProgram, run, type Say, tryRun } from './steps.ts'

const folder = resolve(import.meta.dirname, '../.cache/etcd')
const wanted = [3, 5] as const

/** Where set-up puts etcd; SKIFF_ETCD names another one. */
export function etcdBinary(): string {
  return process.env['SKIFF_ETCD'] ?? join(folder, 'etcd')
}

/** Where set-up puts etcdctl; SKIFF_ETCDCTL names another one. */
export function etcdctlBinary(): string {
  return process.env['SKIFF_ETCDCTL'] ?? join(folder, 'etcdctl')
}

/** Makes sure that `etcdBinary()` and `etcdctlBinary()` exist. */
export async function installEtcd(say: Say): Promise<void> {
  const present = await etcdVersion(etcdBinary())
  if (present !== undefined && existsSync(etcdctlBinary())) return say(`${present} (${etcdBinary()})`)
  mkdirSync(folder, { recursive: true })
  if (await linkInstalled()) return say(`${await etcdVersion(etcdBinary())}, the machine's own`)
  const mirror = ownMirror()
  if (mirror === undefined) throw new Error('no Debian mirror found in /etc/apt: install etcd 3.5 or newer by hand')
  try {
    say('fetching the next Debian release’s package')
    await unpackPackage(mirror, 'trixie')
  } catch (err) {
    say(`could not get etcd 3.5 (${firstLine(err)}); falling back to this release’s 3.4`)
    await unpackPackage(mirror, 'bookworm')
    process.stderr.write('warning: etcd 3.4 has known watch bugs and gets no more fixes; prefer 3.5 or newer\n')
  }
  say(`${await etcdVersion(etcdBinary())} in ${folder}`)
}

function firstLine(err: unknown): string {
  return String(err instanceof Error ? err.message : err).split('\n')[0] ?? ''
}

/** The version that an etcd program reports, or undefined if it does not run. */
export async function etcdVersion(binary: string): Promise<string | undefined> {
  const { stdout } = await tryRun(binary, ['--version'])
  return /etcd Version: (\S+)/.exec(stdout)?.[1]
}

export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > wanted[0] || (major === wanted[0] && minor >= wanted[1])
}

async function linkInstalled(): Promise<boolean> {
  const etcd = findProgram('etcd')
  const etcdctl = findProgram('etcdctl')
  if (etcd === undefined || etcdctl === undefined) return false
  const version = await etcdVersion(etcd)
  if (version === undefined || !isNewEnough(version)) return false
  for (const [name, path] of Object.entries({ etcd, etcdctl })) {
    rmSync(join(folder, name), { force: true })
    symlinkSync(path, join(folder, name))
  }
  return true
}

/** Downloads with lists and caches of our own, so that the machine's package state stays as it is. */
async function unpackPackage(mirror: Mirror, suite: string): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'skiff-etcd-'))
  try {
    for (const name of ['lists/partial', 'cache/archives/partial', 'parts', 'root'])
      mkdirSync(join(work, name), { recursive: true })
    const signed = mirror.signedBy === undefined ? '' : `[signed-by=${mirror.signedBy}] `
    writeFileSync(join(work, 'sources.list'), `deb ${signed}${mirror.uri} ${suite} main\n`)
    writeFileSync(
      join(work, 'apt.conf'),
      [
        `Dir::Etc::sourcelist "${work}/sources.list";`,
        `Dir::Etc::sourceparts "${work}/parts";`,
        `Dir::State::lists "${work}/lists";`,
        `Dir::Cache "${work}/cache";`,
        'APT::Sandbox::User "root";',
        'Acquire::Languages "none";',
      ].join('\n'),
    )
    const options = { cwd: work, env: { APT_CONFIG: join(work, 'apt.conf') } }
    await run('apt-get', ['update', '-q'], options)
    await run('apt-get', ['download', '-q', 'etcd-server', 'etcd-client'], options)
    for (const file of readdirSync(work).filter((name) => name.endsWith('.deb')))
      await run('dpkg', ['-x', join(work, file), join(work, 'root')])
    for (const name of ['etcd', 'etcdctl']) {
      const target = join(folder, name)
      rmSync(target, { force: true })
      copyFileSync(join(work, 'root/usr/bin', name), target)
      chmodSync(target, 0o755)
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
