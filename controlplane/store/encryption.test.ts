import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { silentLog } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import { decodeObject } from './codec.ts'
import { storeConformance } from './conformance.ts'
import { decrypt, encrypt, encrypted, keyIdOf } from './encryption.ts'
import { KeyringFile, loadOrCreateKeyring, newKeyring, saveKeyring } from './keyring.ts'
import { objectKey } from './keys.ts'
import { MemoryStore } from './memory.ts'
import { reencryptSecrets } from './reencrypt.ts'

const random = systemRandom
const keyring = newKeyring(random)
const key = objectKey({ group: '', plural: 'secrets' }, 'a', 'one')
const otherKey = objectKey({ group: '', plural: 'secrets' }, 'a', 'two')
const configKey = objectKey({ group: '', plural: 'configmaps' }, 'a', 'one')
const { signal } = new AbortController()
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString()

const all = encrypted(new MemoryStore(), { keyring, log: silentLog, isSecret: () => true })
storeConformance('encrypted', () => all)

function scene() {
  const inner = new MemoryStore()
  const store = encrypted(inner, { keyring, log: silentLog })
  const put = (at: string, value: string, into = store) =>
    into.commit({ conditions: [{ key: at, modRevision: 0 }], writes: [{ put: at, value: bytes(value) }] }, { signal })
  return { inner, store, put }
}

test('secrets lie encrypted in the store, other kinds as they are', async () => {
  const { inner, store, put } = scene()
  await put(key, '{"password":"hunter2"}')
  await put(configKey, '{"plain":true}')
  const raw = textOf((await inner.get(key, { signal })).item?.value)
  expect(raw).toMatch(/^skiff:enc:v1:k[0-9a-f]{12}:/)
  expect(raw).not.toContain('hunter2')
  expect(textOf((await inner.get(configKey, { signal })).item?.value)).toBe('{"plain":true}')
  expect(textOf((await store.get(key, { signal })).item?.value)).toBe('{"password":"hunter2"}')
})

test('equal values never look equal', () => {
  const make = () => textOf(encrypt(bytes('same'), { key, keyring, random }))
  expect(make()).not.toBe(make())
})

test('any value comes back, and any changed bit is noticed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (value, bit) => {
      const sealed = encrypt(value, { key, keyring, random })
      expect(Buffer.from(decrypt(sealed, { key, keyring }))).toEqual(Buffer.from(value))
      const header = 'skiff:enc:v1:'.length
      const changed = Uint8Array.from(sealed)
      const at = header + (bit % (sealed.length - header))
      changed[at] = (changed[at] ?? 0) ^ (1 << (bit % 8))
      expect(() => decrypt(changed, { key, keyring })).toThrow(key)
    }),
  )
})

test('a value that was moved to another key is refused', () => {
  const sealed = encrypt(bytes('{}'), { key, keyring, random })
  expect(() => decrypt(sealed, { key: otherKey, keyring })).toThrow(`"${otherKey}" was changed or moved`)
})

test('a damaged secret does not take the others with it, and says which it is', async () => {
  const { inner, store, put } = scene()
  await put(key, '{}')
  await put(otherKey, textOf(encrypt(bytes('{}'), { key, keyring, random })), inner)
  const { items } = await store.list({ prefix: '/skiff/', signal })
  expect(items).toHaveLength(2)
  const moved = items.find((item) => item.key === otherKey)
  if (moved === undefined) throw new Error('it was listed')
  expect(() => decodeObject(moved)).toThrow(`the value of "${otherKey}" is damaged: it is encrypted with an unknown key`)
})

test('values from before encryption are read, and encrypted by their next write', async () => {
  const { inner, store, put } = scene()
  const { revision } = await put(key, '{"old":1}', inner)
  expect(textOf((await store.get(key, { signal })).item?.value)).toBe('{"old":1}')
  await store.commit(
    { conditions: [{ key, modRevision: revision }], writes: [{ put: key, value: bytes('{"old":2}') }] },
    { signal },
  )
  expect(textOf((await inner.get(key, { signal })).item?.value)).toMatch(/^skiff:enc:/)
})

test('after a rotation old values can still be read, and new ones have the new key', () => {
  const old = encrypt(bytes('old'), { key, keyring, random })
  const rotated = keyring.rotated(random)
  expect(textOf(decrypt(old, { key, keyring: rotated }))).toBe('old')
  const fresh = encrypt(bytes('new'), { key, keyring: rotated, random })
  expect(() => decrypt(fresh, { key, keyring })).toThrow(/"k[0-9a-f]{12}", which is not in the keyring/)
})

test('after a rotation every secret can be written anew, and what cannot be read is named', async () => {
  const { inner, store, put } = scene()
  await put(key, '{"a":1}')
  await put(objectKey({ group: '', plural: 'secrets' }, 'b', 'plain'), '{"plain":1}', inner)
  await put(otherKey, 'skiff:enc:v1:kgone:0123456789012345678901234567890123456789012345678901234567890', inner)
  const rotated = keyring.rotated(random)
  const newStore = encrypted(inner, { keyring: rotated, log: silentLog })
  const options = { raw: inner, store: newStore, keyring: rotated, signal }
  expect(await reencryptSecrets(options)).toEqual({ rewritten: 2, unreadable: [otherKey] })
  expect(keyIdOf((await inner.get(key, { signal })).item?.value ?? bytes(''))).toBe(rotated.newest.id)
  expect(textOf((await newStore.get(key, { signal })).item?.value)).toBe('{"a":1}')
  expect((await reencryptSecrets(options)).rewritten).toBe(0)
  expect(textOf((await store.get(key, { signal })).item?.value)).toMatch(/^skiff:enc:/)
})

test('a key that another process on the same file has made is found when it is needed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-keyring-'))
  const file = join(folder, 'keyring.json')
  try {
    const [one, two] = [
      await KeyringFile.open(file, { random, log: silentLog }),
      await KeyringFile.open(file, { random, log: silentLog }),
    ]
    await one.rotate()
    expect(textOf(decrypt(encrypt(bytes('x'), { key, keyring: one, random }), { key, keyring: two }))).toBe('x')
    expect(two.newest.id).toBe(one.newest.id)
    await one.forgetOld()
    await two.reload()
    expect(two.size).toBe(1)
    await rm(file)
    expect(two.find('kother')).toBeUndefined()
    expect(two.find(one.newest.id)).toBeDefined()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('the keyring is private, lasts, and a damaged one is never replaced', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-keyring-'))
  const file = join(folder, 'secrets', 'keyring.json')
  try {
    const first = await loadOrCreateKeyring(file, { random, log: silentLog })
    await chmod(file, 0o644)
    expect((await loadOrCreateKeyring(file, { random, log: silentLog })).newest).toEqual(first.newest)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await saveKeyring(file, first.rotated(random))
    const second = await loadOrCreateKeyring(file, { random, log: silentLog })
    expect(second.newest.id).not.toBe(first.newest.id)
    expect(second.find(first.newest.id)).toEqual(first.newest.secret)
    const half = (await readFile(file, 'utf8')).slice(0, 40)
    await writeFile(file, half)
    await expect(loadOrCreateKeyring(file, { random, log: silentLog })).rejects.toThrow(/keyring.json is damaged/)
    expect(await readFile(file, 'utf8')).toBe(half)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
