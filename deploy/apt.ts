// Debian packages: what set-up needs and how it gets it. Only what is missing is installed.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { findProgram, run, type Say, tryRun } from './steps.ts'

interface Need {
  readonly program: string
  readonly package: string
}

const needs: readonly Need[] = [
  { program: 'dockerd', package: 'docker.io' },
  { program: 'iptables-restore', package: 'iptables' },
  { program: 'conntrack', package: 'conntrack' },
  { program: 'ip', package: 'iproute2' },
]
const daemonConfig = '/etc/docker/daemon.json'

/** Installs the Debian packages whose programs are missing. */
export async function installPackages(say: Say): Promise<void> {
  const missing = needs.filter((need) => findProgram(need.program) === undefined).map((need) => need.package)
  if (staticBusybox() === undefined) missing.push('busybox-static')
  if (missing.length === 0) return say('all there')
  if (missing.includes('docker.io')) configureNewEngine()
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  say(`refreshing package lists (missing: ${missing.join(' ')})`)
  // A third party's broken source fails the whole update; whether the packages can be had is for the installation to say.
  await tryRun('apt-get', ['update'], { env })
  say(`installing ${missing.join(' ')}`)
  await run('apt-get', ['install', '-y', '--no-install-recommends', ...missing], { env })
  say(`installed ${missing.join(' ')}`)
}

/** A busybox that needs no libraries, so that it can be the only program of an image. */
export function staticBusybox(): string | undefined {
  return ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path) && !isDynamic(path))
}

/** A dynamically linked program names its loader in its first kilobytes. */
function isDynamic(path: string): boolean {
  const head = readFileSync(path).subarray(0, 4096)
  return head.includes('/ld-linux')
}

/** An engine that Skiff installs keeps containers alive over its own restarts. An existing configuration is left alone. */
function configureNewEngine(): void {
  if (existsSync(daemonConfig)) return
  mkdirSync('/etc/docker', { recursive: true })
  writeFileSync(daemonConfig, `${JSON.stringify({ 'live-restore': true, 'userland-proxy': false }, undefined, 2)}\n`)
}

/** A package source: where this machine itself gets Debian from. */
export interface Mirror {
  readonly uri: string
  readonly signedBy: string | undefined
}

/** The Debian mirror of this machine's own configuration: the first source that has the main archive's layout. */
export function ownMirror(folder = '/etc/apt'): Mirror | undefined {
  const parts = `${folder}/sources.list.d`
  const files = [`${parts}/debian.sources`, `${folder}/sources.list`]
  if (existsSync(parts)) files.push(...readdirSync(parts).map((name) => `${parts}/${name}`))
  for (const file of files) {
    if (!existsSync(file)) continue
    const text = readFileSync(file, 'utf8')
    const mirror = file.endsWith('.sources') ? mirrorOfStanzas(text) : mirrorOfLines(text)
    if (mirror !== undefined) return mirror
  }
  return undefined
}

export function mirrorOfStanzas(text: string): Mirror | undefined {
  for (const stanza of text.split(/\n\s*\n/)) {
    const field = (name: string): string | undefined => new RegExp(`^${name}:\\s*(.+)$`, 'im').exec(stanza)?.[1]?.trim()
    const uri = field('URIs')?.split(/\s+/)[0]
    if (uri === undefined || !isMainArchive(field('Suites')) || !/\bmain\b/.test(field('Components') ?? '')) continue
    return { uri, signedBy: field('Signed-By') }
  }
  return undefined
}

export function mirrorOfLines(text: string): Mirror | undefined {
  for (const line of text.split('\n')) {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line.trim())
    if (match === null) continue
    const [, options, uri, suite, components] = match
    if (uri === undefined || !isMainArchive(suite) || !/\bmain\b/.test(components ?? '')) continue
    return { uri, signedBy: /signed-by=(\S+)/.exec(options ?? '')?.[1] }
  }
  return undefined
}

/** A mirror may have any path, but the main archive's suites are bare names; security, updates and third parties add to them. */
function isMainArchive(suites: string | undefined): boolean {
  return (suites ?? '').split(/\s+/).some((suite) => /^(bookworm|trixie|forky|stable|testing|sid)$/.test(suite))
}
