// npm start: set-up, programs, control plane and agent, and an example application that answers.
import { spawn } from 'node:child_process'
import { existsSync, lstatSync, readFileSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { etcdBinary, etcdctlBinary } from './etcd.ts'
import { helloImage, makeHelloImage } from './image.ts'
import { setup } from './setup.ts'
import { run, type Say, step, tryRun, waitFor } from './steps.ts'

const root = resolve(import.meta.dirname, '..')
const ctlProgram = join(root, 'dist/programs/ctl.mjs')
const ctlWrapper = join(root, 'bin/ctl')
const ctlOnPath = '/usr/local/bin/ctl'
const manifest = 'manifests/hello.yaml'
const nodePort = 30080
const howToExchange = '"ctl down" and "ctl up" exchange them, and containers go on running'
const env = { ...process.env, SKIFF_ETCD: etcdBinary(), SKIFF_ETCDCTL: etcdctlBinary() }

async function start(): Promise<void> {
  await setup()
  const isNew = await step('Programs', buildIfStale)
  await step('ctl', putOnPath)
  // The image is made while the control plane starts; its step, below, only waits for it.
  const image = makeHelloImage(() => undefined)
  image.catch(() => undefined)
  const wasRunning = await isRunning()
  if (!wasRunning) await ctl('up')
  else process.stdout.write(`✓ Skiff is already running${isNew ? `, with its programs of before: ${howToExchange}` : ''}\n`)
  await step('Example image', async (say) => {
    await image
    say(helloImage)
  })
  process.stdout.write(`\n$ ctl apply -f ${manifest}\n`)
  await ctl('apply', '-f', manifest)
  process.stdout.write('\n$ ctl get pods -n hello -o wide\n')
  await ctl('get', 'pods', '-n', 'hello', '-o', 'wide')
  process.stdout.write('\n')
  const url = await step('The application', findUrl)
  process.stdout.write(
    `\nTry next:\n  curl ${url}\n  ctl scale deployment hello -n hello --replicas=5\n  ctl logs deployment/hello -n hello\n`,
  )
}

/** True: the programs are new. */
async function buildIfStale(say: Say): Promise<boolean> {
  // esbuild is loaded only here: set-up itself runs without npm packages.
  const { buildPrograms, isStale } = await import('../tools/build.ts')
  if (!isStale()) {
    say('up to date')
    return false
  }
  const built = await buildPrograms()
  if (!existsSync(ctlProgram)) throw new Error(`the bundle ${ctlProgram} was not made`)
  say(`bundled ${built.join(', ')}`)
  return true
}

/** Links ctl into PATH, unless something else has that name. */
async function putOnPath(say: Say): Promise<void> {
  const present = lstatSync(ctlOnPath, { throwIfNoEntry: false })
  const target = present?.isSymbolicLink() ? readlinkSync(ctlOnPath) : undefined
  if (target === ctlWrapper) return say(ctlOnPath)
  const isOurs = target !== undefined && (!existsSync(target) || isSkiff(resolve(target, '../..')))
  if (present !== undefined && !isOurs) return say(`${ctlOnPath} belongs to something else; use ${ctlWrapper}`)
  if (present !== undefined) unlinkSync(ctlOnPath)
  symlinkSync(ctlWrapper, ctlOnPath)
  say(`${ctlOnPath} leads to ${ctlWrapper}`)
}

function isSkiff(folder: string): boolean {
  const file = join(folder, 'package.json')
  return existsSync(file) && readFileSync(file, 'utf8').includes('"name": "skiff"')
}

async function isRunning(): Promise<boolean> {
  return (await tryRun(process.execPath, [ctlProgram, 'status'], { cwd: root, env })).code === 0
}

/** Runs ctl on this terminal. */
function ctl(...args: readonly string[]): Promise<void> {
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, [ctlProgram, ...args], { cwd: root, env, stdio: 'inherit' })
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) done()
      else reject(new Error(`ctl ${args.join(' ')} ended with code ${code}`))
    })
  })
}

/** The address at which the example answers: the node's own, or loopback. */
async function findUrl(say: Say): Promise<string> {
  const path = '{.items[*].status.addresses[?(@.type=="InternalIP")].address}'
  const addresses = await run(process.execPath, [ctlProgram, 'get', 'nodes', '-o', `jsonpath=${path}`], { cwd: root, env })
  const urls = [...addresses.trim().split(/\s+/), '127.0.0.1'].filter((ip) => ip !== '').map((ip) => `http://${ip}:${nodePort}/`)
  let answer: { readonly url: string; readonly text: string } | undefined
  await waitFor(15_000, async () => {
    for (const url of urls) {
      const text = await textAt(url)
      if (text !== undefined) answer = { url, text }
      if (answer !== undefined) return true
    }
    return false
  })
  if (answer === undefined) throw new Error(`no answer from ${urls.join(' or ')}`)
  say(`${answer.url} answers "${answer.text.trim()}"`)
  return answer.url
}

async function textAt(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    return response.ok ? await response.text() : undefined
  } catch {
    return undefined
  }
}

try {
  await start()
} catch (err) {
  process.stderr.write(`\nskiff: ${err instanceof Error ? err.message : String(err)}\n`)
  process.exitCode = 1
}
