import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { etcdBinary, freePort } from '../testing/etcd.ts'
import { testEtcdFiles } from '../testing/etcd-files.ts'
import { type EtcdProcess, etcdProcess } from './etcd-process.ts'
import { probeEtcd } from './probe.ts'
import { findRunning, pidFile, runsOn } from './running.ts'

let folder: string
let ports: { clientPort: number; peerPort: number }
let stops: (() => Promise<void>)[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skiff-etcdp-'))
  ports = { clientPort: await freePort(), peerPort: await freePort() }
  stops = []
})
afterEach(async () => {
  for (const stop of stops) await stop()
  await rm(folder, { recursive: true, force: true })
})

async function start(overrides: { binary?: string; stopMs?: number } = {}) {
  const options = { binary: etcdBinary, dataFolder: folder, ...ports, clock: systemClock, log: silentLog }
  const etcd: EtcdProcess = etcdProcess({ ...options, ...(await testEtcdFiles(folder)), ...overrides })
  const controller = new AbortController()
  const ended = etcd.run(controller.signal)
  const failed = ended.then(
    () => undefined,
    (err: unknown) => err,
  )
  const stop = async (): Promise<void> => {
    controller.abort(new Error('the test stops etcd'))
    await failed
  }
  stops.push(stop)
  return { etcd, ended, failed, stop }
}

const { signal } = new AbortController()
const pidOf = async (): Promise<number> => Number(await readFile(pidFile(folder), 'utf8'))

test('starts with private files, serves with TLS, and is gone after the stop', async () => {
  const { etcd, stop } = await start()
  await etcd.waitReady({ signal })
  const pid = await pidOf()
  expect((await stat(join(folder, 'etcd'))).mode & 0o777).toBe(0o700)
  expect(etcd.endpoints).toEqual([`https://127.0.0.1:${ports.clientPort}`])
  await stop()
  expect(await runsOn(pid, folder)).toBe(false)
  expect(await findRunning(folder)).toBeUndefined()
})

test('nobody gets in without a certificate of the right authority', async () => {
  const { etcd } = await start()
  await etcd.waitReady({ signal })
  const [endpoint = ''] = etcd.endpoints
  const { client, foreign } = await testEtcdFiles(folder)
  await expect(probeEtcd(endpoint, { ...client, signal })).resolves.toBeUndefined()
  await expect(probeEtcd(endpoint, { ...client, ...foreign, signal })).rejects.toThrow()
  await expect(fetch(`http://127.0.0.1:${ports.clientPort}/health`)).rejects.toThrow()
})

test('an etcd that a dead control plane left is adopted, and stopped by the next', async () => {
  const script = join(import.meta.dirname, '../testing/run-etcd.ts')
  const args = [script, etcdBinary, folder, String(ports.clientPort), String(ports.peerPort)]
  const owner = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(owner.stdout, 'data')
  const pid = await pidOf()
  const gone = once(owner, 'exit')
  owner.kill('SIGKILL')
  await gone
  expect(await runsOn(pid, folder)).toBe(true)
  const { etcd, stop } = await start()
  await etcd.waitReady({ signal })
  expect(await pidOf()).toBe(pid)
  await stop()
  expect(await runsOn(pid, folder)).toBe(false)
})

test('an etcd that was left running but hangs is replaced', async () => {
  const first = await start()
  await first.etcd.waitReady({ signal })
  const pid = await pidOf()
  process.kill(pid, 'SIGSTOP')
  const second = await start({ stopMs: 500 })
  await second.etcd.waitReady({ signal })
  expect(await pidOf()).not.toBe(pid)
  expect(await runsOn(pid, folder)).toBe(false)
  await expect(first.ended).rejects.toThrow(/etcd has ended/)
})

test('the service fails with its last words when etcd ends, and starts again on the same data', async () => {
  const { etcd, failed } = await start()
  await etcd.waitReady({ signal })
  process.kill(await pidOf(), 'SIGKILL')
  expect(String(await failed)).toMatch(/etcd has ended; its last words/)
  const again = await start()
  await again.etcd.waitReady({ signal })
})

test('a program that is not there, or not etcd, is a clear error', async () => {
  expect(String(await (await start({ binary: '/nowhere/etcd' })).failed)).toMatch(/ENOENT/)
  expect(String(await (await start({ binary: '/bin/false' })).failed)).toMatch(/etcd has ended/)
})
