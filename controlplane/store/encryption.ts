import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import type { AbortOptions } from '../../lib/async.ts'
import type { Log } from '../../lib/log.ts'
import { type Random, systemRandom } from '../../lib/random.ts'
import { encryptionMark } from './codec.ts'
import type { Keys } from './keyring.ts'
import { kindPrefix } from './keys.ts'
import type {
  CommitResult,
  KeyValue,
  Leadership,
  ListOptions,
  ListResult,
  Store,
  StoreBatch,
  StoreEvent,
  StoreWatchOptions,
  Transaction,
} from './store.ts'

const version = 'v1:'
const saltBytes = 32
const tagBytes = 16

/** The keys whose values are encrypted. */
export const isSecretKey = (key: string): boolean => key.startsWith(kindPrefix({ group: '', plural: 'secrets' }))

export interface EncryptionOptions {
  readonly keyring: Keys
  readonly log: Log
  readonly random?: Random
  /** Which keys are concerned. Default: Secrets. */
  readonly isSecret?: (key: string) => boolean
}

/**
 * `store` with the values of secret keys encrypted. Plain values that were stored before are read as they are, and
 * encrypted by their next write. What can't be decrypted is logged and handed on as it is: it then counts as damaged
 * (`decodeObject` says so), and everything else can still be read.
 */
export function encrypted(store: Store, options: EncryptionOptions): Store {
  return new EncryptedStore(store, options)
}

/**
 * AES-256-GCM under a key of its own for each write (HKDF of the keyring's key with a fresh salt), so that no number of
 * writes wears a key out. The storage key is authenticated too: moved to another place, a value can't be read.
 */
export function encrypt(value: Uint8Array, { key, keyring, random }: { key: string; keyring: Keys; random: Random }): Uint8Array {
  const { id, secret } = keyring.newest
  const salt = random.bytes(saltBytes)
  const { aesKey, nonce } = derive(secret, salt)
  const cipher = createCipheriv('aes-256-gcm', aesKey, nonce)
  cipher.setAAD(Buffer.from(key))
  const header = Buffer.from(`${encryptionMark}${version}${id}:`)
  return Buffer.concat([header, salt, cipher.update(value), cipher.final(), cipher.getAuthTag()])
}

/** Throws an error that names the key when the value was changed, moved, or encrypted with an unknown key. */
export function decrypt(value: Uint8Array, { key, keyring }: { key: string; keyring: Keys }): Uint8Array {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (!bytes.subarray(0, encryptionMark.length).equals(Buffer.from(encryptionMark))) return value // Stored before encryption.
  const { id, body } = split(bytes, key)
  const secret = keyring.find(id)
  if (secret === undefined)
    throw new Error(`the value of "${key}" is encrypted with the key "${id}", which is not in the keyring`)
  const { aesKey, nonce } = derive(secret, body.subarray(0, saltBytes))
  const decipher = createDecipheriv('aes-256-gcm', aesKey, nonce)
  decipher.setAAD(Buffer.from(key))
  decipher.setAuthTag(body.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(body.subarray(saltBytes, -tagBytes)), decipher.final()])
  } catch (err) {
    throw new Error(`the value of "${key}" was changed or moved since it was encrypted`, { cause: err })
  }
}

/** The id of the key that a value is encrypted with; undefined for plain values. */
export function keyIdOf(value: Uint8Array): string | undefined {
  return headerOf(Buffer.from(value.buffer, value.byteOffset, value.byteLength))?.id
}

function headerOf(bytes: Buffer): { readonly id: string; readonly length: number } | undefined {
  const header = /^skiff:enc:v1:([a-z0-9-]{1,63}):/.exec(bytes.subarray(0, 100).toString('latin1'))
  return header?.[1] === undefined ? undefined : { id: header[1], length: header[0].length }
}

function split(bytes: Buffer, key: string): { id: string; body: Buffer } {
  const header = headerOf(bytes)
  const body = bytes.subarray(header?.length ?? 0)
  if (header === undefined || body.length < saltBytes + tagBytes) {
    throw new Error(`the value of "${key}" has no known encryption header`)
  }
  return { id: header.id, body }
}

function derive(secret: Uint8Array, salt: Uint8Array): { aesKey: Uint8Array; nonce: Uint8Array } {
  const bytes = new Uint8Array(hkdfSync('sha256', secret, salt, 'skiff storage v1', 32 + 12))
  return { aesKey: bytes.subarray(0, 32), nonce: bytes.subarray(32) }
}

class EncryptedStore implements Store {
  readonly #inner: Store
  readonly #keyring: Keys
  readonly #log: Log
  readonly #random: Random
  readonly #isSecret: (key: string) => boolean

  constructor(inner: Store, { keyring, log, random = systemRandom, isSecret = isSecretKey }: EncryptionOptions) {
    this.#inner = inner
    this.#keyring = keyring
    this.#log = log
    this.#random = random
    this.#isSecret = isSecret
  }

  async get(key: string, opts: AbortOptions): Promise<{ item: KeyValue | undefined; revision: number }> {
    const { item, revision } = await this.#inner.get(key, opts)
    return { item: item && this.#open(item), revision }
  }

  async list(options: ListOptions): Promise<ListResult> {
    const result = await this.#inner.list(options)
    if (options.keysOnly === true) return result
    return { ...result, items: result.items.map((item) => this.#open(item)) }
  }

  async commit({ conditions, writes }: Transaction, opts: AbortOptions): Promise<CommitResult> {
    // Encrypted once: when the store sends the transaction again, it compares these very bytes.
    const sealed = writes.map((write) =>
      'put' in write && this.#isSecret(write.put)
        ? { ...write, value: encrypt(write.value, { key: write.put, keyring: this.#keyring, random: this.#random }) }
        : write,
    )
    const result = await this.#inner.commit({ conditions, writes: sealed }, opts)
    if (result.committed) return result
    return { ...result, current: new Map([...result.current].map(([key, item]) => [key, item && this.#open(item)])) }
  }

  async *watch(options: StoreWatchOptions): AsyncGenerator<StoreBatch, void, void> {
    for await (const batch of this.#inner.watch(options)) {
      yield { ...batch, events: batch.events.map((event) => this.#openEvent(event)) }
    }
  }

  campaign(options: AbortOptions & { key: string; value: string; ttlMs: number }): Promise<Leadership> {
    return this.#inner.campaign(options)
  }

  compact(revision: number, opts: AbortOptions): Promise<void> {
    return this.#inner.compact(revision, opts)
  }

  #openEvent(event: StoreEvent): StoreEvent {
    const previous = event.previous && this.#open(event.previous)
    return event.type === 'put' ? { ...event, current: this.#open(event.current), previous } : { ...event, previous }
  }

  #open(item: KeyValue): KeyValue {
    if (!this.#isSecret(item.key)) return item
    try {
      return { ...item, value: decrypt(item.value, { key: item.key, keyring: this.#keyring }) }
    } catch (err) {
      this.#log.error('a stored value cannot be decrypted', { key: item.key, err })
      return item
    }
  }
}
