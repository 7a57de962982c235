import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testSpec } from '../conformance.ts'
import type { ContainerSpec } from '../runtime.ts'
import { type CreateOptions, createBody } from './create-body.ts'
import { annotationsOf, identityOf } from './labels.ts'

const options: CreateOptions = {
  owner: 'test',
  rights: { missingCapabilities: [] },
  logMaxBytes: 1_000,
  logMaxFiles: 2,
  pidsLimit: 100,
  cgroupParent: undefined,
}
const limited = { ...options, rights: { missingCapabilities: ['SYS_RESOURCE'] } }
const body = (more: Partial<ContainerSpec>, with_ = options) => createBody(testSpec('image:1', more, 'uid'), with_)

test('a command replaces the entry point, arguments the command of the image', () => {
  expect(body({ command: ['a', 'b'], args: ['c'] })).toMatchObject({ Entrypoint: ['a', 'b'], Cmd: ['c'] })
  expect(body({ args: ['c'] })).not.toHaveProperty('Entrypoint')
  expect(body({ command: [], args: [] })).not.toHaveProperty('Cmd')
})

test('limits are what the engine counts in', () => {
  expect(body({ cpuShares: 512, cpuLimitMicro: 250_000, memoryLimitBytes: 64 }).HostConfig).toMatchObject({
    CpuShares: 512,
    CpuPeriod: 100_000,
    CpuQuota: 25_000,
    Memory: 64,
    MemorySwap: 64,
  })
  expect(body({ cpuLimitMicro: 1 }).HostConfig?.CpuQuota).toBe(1_000)
  expect(body({}).HostConfig).not.toHaveProperty('Memory')
})

test('an app joins its sandbox, a sandbox lets others join', () => {
  expect(body({ sandboxId: 'abc' }).HostConfig).toMatchObject({ NetworkMode: 'container:abc', IpcMode: 'container:abc' })
  const identity = { ...testSpec('', {}, 'uid').identity, role: 'sandbox' as const }
  expect(body({ identity }).HostConfig).toMatchObject({ NetworkMode: 'none', IpcMode: 'shareable' })
  expect(body({ hostNetwork: true }).HostConfig).toMatchObject({ NetworkMode: 'host', IpcMode: 'private' })
  expect(body({ sandboxId: 'abc' }).HostConfig).not.toHaveProperty('PidMode')
  expect(body({ hostNetwork: true, processesOf: 'abc' }).HostConfig).toMatchObject({
    NetworkMode: 'host',
    PidMode: 'container:abc',
  })
})

test('what the host lacks is not asked for', () => {
  expect(body({ privileged: true }).HostConfig).toMatchObject({ Privileged: true })
  const lowered = body({ privileged: true }, limited).HostConfig
  expect(lowered).not.toHaveProperty('Privileged')
  expect(lowered?.CapAdd).toContain('SYS_ADMIN')
  expect(lowered?.CapAdd).not.toContain('SYS_RESOURCE')
  expect(body({ capabilitiesAdd: ['CAP_SYS_RESOURCE', 'net_admin'] }, limited).HostConfig?.CapAdd).toEqual(['NET_ADMIN'])
  expect(body({ capabilitiesAdd: ['SYS_RESOURCE'] }).HostConfig?.CapAdd).toEqual(['SYS_RESOURCE'])
})

const anySpec: fc.Arbitrary<Partial<ContainerSpec>> = fc.record({
  command: fc.option(fc.array(fc.string()), { nil: undefined }),
  env: fc.array(fc.record({ name: fc.string(), value: fc.string() })),
  mounts: fc.array(fc.record({ source: fc.string(), target: fc.string(), readOnly: fc.boolean() })),
  sandboxId: fc.option(fc.string(), { nil: undefined }),
  hostNetwork: fc.boolean(),
  privileged: fc.constant(false),
  capabilitiesAdd: fc.array(fc.string()),
  capabilitiesDrop: fc.array(fc.string()),
  noNewPrivileges: fc.boolean(),
  shmBytes: fc.option(fc.nat(), { nil: undefined }),
  sysctls: fc.dictionary(fc.string(), fc.string()),
  memoryLimitBytes: fc.option(fc.nat(), { nil: undefined }),
  annotations: fc.dictionary(fc.string(), fc.string()),
})
const allowedTop = [
  'name',
  'Image',
  'Entrypoint',
  'Cmd',
  'Hostname',
  'WorkingDir',
  'User',
  'Env',
  'Labels',
  'OpenStdin',
  'Tty',
  'Healthcheck',
  'HostConfig',
]
const allowedHost = [
  ...['NetworkMode', 'IpcMode', 'Sysctls', 'ShmSize', 'CpuShares', 'CpuPeriod', 'CpuQuota', 'Memory', 'MemorySwap'],
  ...['CapAdd', 'CapDrop', 'SecurityOpt', 'Mounts', 'ReadonlyRootfs', 'GroupAdd', 'PidsLimit', 'RestartPolicy', 'LogConfig'],
]

test('a container that is not privileged is asked for with these fields and no others', () => {
  fc.assert(
    fc.property(anySpec, (more) => {
      const made = body(more)
      expect(Object.keys(made).filter((key) => !allowedTop.includes(key))).toEqual([])
      expect(Object.keys(made.HostConfig ?? {}).filter((key) => !allowedHost.includes(key))).toEqual([])
      expect(made.HostConfig?.PidsLimit).toBe(100)
      expect(made.HostConfig?.LogConfig).toEqual({ Type: 'json-file', Config: { 'max-size': '1000', 'max-file': '2' } })
      expect((made.HostConfig?.SecurityOpt ?? []).filter((option: string) => option !== 'no-new-privileges')).toEqual([])
      for (const mount of made.HostConfig?.Mounts ?? []) expect(mount.Type).toBe('bind')
    }),
  )
})

test('without the filter of system calls is who says so, and no other', () => {
  const security = (more: Partial<ContainerSpec>) => body(more).HostConfig?.SecurityOpt
  expect(security({ unfiltered: true, noNewPrivileges: true })).toEqual(['no-new-privileges', 'seccomp=unconfined'])
  expect(security({ unfiltered: false })).toEqual([])
})

test('labels give back identity and annotations, whatever they hold', () => {
  const identity = fc.record({
    podUid: fc.string(),
    podNamespace: fc.string(),
    podName: fc.string(),
    role: fc.constantFrom('sandbox' as const, 'init' as const, 'app' as const),
    container: fc.string(),
    attempt: fc.nat(),
    specHash: fc.string(),
  })
  fc.assert(
    fc.property(identity, fc.dictionary(fc.string(), fc.string()), (who, annotations) => {
      const { Labels = {} } = body({ identity: who, annotations })
      expect(identityOf(Labels)).toEqual(who)
      expect(annotationsOf(Labels)).toEqual({ ...annotations })
    }),
  )
})

test('an annotation may have any name', () => {
  const annotations = Object.fromEntries([['__proto__', 'a']])
  expect(Object.entries(annotationsOf(body({ annotations }).Labels ?? {}))).toEqual([['__proto__', 'a']])
})

test('labels of others are no identity', () => {
  expect(identityOf({})).toBeUndefined()
  expect(
    identityOf({ 'io.skiff.pod-uid': 'x', 'io.skiff.role': 'king', 'io.skiff.container': 'c', 'io.skiff.attempt': '0' }),
  ).toBeUndefined()
})

test('names differ exactly by pod, container and attempt', () => {
  const name = (podUid: string, container: string, attempt: number) =>
    body({ identity: { ...testSpec('', {}, podUid).identity, container, attempt } }).name
  const names = [name('a', 'main', 0), name('b', 'main', 0), name('a', 'side', 0), name('a', 'main', 1)]
  expect(new Set(names).size).toBe(4)
  expect(names[0]).toBe('skiff_main_web_default_a_0')
  expect(name('u', 'x'.repeat(63), 0)).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/)
})
