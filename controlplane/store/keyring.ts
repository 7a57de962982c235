import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Log } from '../../lib/log.ts'
import { createWhole, keepPrivate, privateFolder, readIfThere, writeWhole } from '../../lib/private-files.ts'
import type { Random } from '../../lib/random.ts'

interface KeyringKey {
  readonly id: string
  /** 32 bytes. */
  readonly secret: Uint8Array
}

/** The keys that values are encrypted with: the newest writes, all read. */
export interface Keys {
  readonly newest: KeyringKey
  find(id: string): Uint8Array | undefined
}

export class Keyring implements Keys {
  readonly #keys: readonly KeyringKey[]
  readonly newest: KeyringKey

  /** Newest first. */
  constructor(keys: readonly KeyringKey[]) {
    const [newest] = keys
    if (newest === undefined) throw new Error('a keyring has at least one key')
    this.newest = newest
    this.#keys = keys
  }

  find(id: string): Uint8Array | undefined {
    return this.#keys.find((key) => key.id === id)?.secret
  }

  /** With a new key in front. Old keys stay, until every value was written again. */
  rotated(random: Random): Keyring {
    return new Keyring([newKey(random), ...this.#keys])
  }

  /** Without the old keys. */
  newestOnly(): Keyring {
    return new Keyring([this.newest])
  }

  get size(): number {
    return this.#keys.length
  }

  toText(): string {
    const keys = this.#keys.map(({ id, secret }) => ({ id, secret: Buffer.from(secret).toString('base64') }))
    return `${JSON.stringify({ keys }, undefined, 2)}\n`
  }
}

/** The keyring of a file, which can change while it is in use. */
export class KeyringFile implements Keys {
  readonly #file: string
  readonly #options: { readonly random: Random; readonly log: Log }
  #current: Keyring

  private constructor(file: string, options: { random: Random; log: Log }, current: Keyring) {
    this.#file = file
    this.#options = options
    this.#current = current
  }

  static async open(file: string, options: { random: Random; log: Log }): Promise<KeyringFile> {
    return new KeyringFile(file, options, await loadOrCreateKeyring(file, options))
  }

  get newest(): KeyringKey {
    return this.#current.newest
  }

  get size(): number {
    return this.#current.size
  }

  /** A key that we do not know may be one that another control plane on the same files has made meanwhile. */
  find(id: string): Uint8Array | undefined {
    return this.#current.find(id) ?? this.#lookAgain(id)
  }

  #lookAgain(id: string): Uint8Array | undefined {
    try {
      const there = parseKeyring(this.#file, readFileSync(this.#file, 'utf8'))
      if (there.find(id) !== undefined) this.#current = there
    } catch (err) {
      this.#options.log.error('the keyring cannot be read again', { err })
    }
    return this.#current.find(id)
  }

  /** Takes up what somebody has changed in the file. Keys that are no longer in it are forgotten. */
  async reload(): Promise<void> {
    this.#current = await loadOrCreateKeyring(this.#file, this.#options)
  }

  /** A new key writes from now on. It is in the file before anything is written with it. */
  async rotate(): Promise<void> {
    await this.#replace(this.#current.rotated(this.#options.random))
  }

  async forgetOld(): Promise<void> {
    await this.#replace(this.#current.newestOnly())
  }

  async #replace(next: Keyring): Promise<void> {
    await saveKeyring(this.#file, next)
    this.#current = next
  }
}

export const newKeyring = (random: Random): Keyring => new Keyring([newKey(random)])

/** The keyring in `file`, made when there is none. A damaged one is an error: what it encrypted would be lost for good. */
export async function loadOrCreateKeyring(file: string, { random, log }: { random: Random; log: Log }): Promise<Keyring> {
  await privateFolder(dirname(file))
  let text = await readIfThere(file)
  if (text === undefined) {
    // When another process was faster, its keys count.
    const isOurs = await createWhole(file, newKeyring(random).toText(), 0o600)
    if (isOurs) log.info('keyring for secrets created', { file })
    text = await readIfThere(file)
  }
  await keepPrivate(file, log)
  return parseKeyring(file, text ?? '')
}

export async function saveKeyring(file: string, keyring: Keyring): Promise<void> {
  await writeWhole(file, keyring.toText(), 0o600)
}

function newKey(random: Random): KeyringKey {
  return { id: `k${Buffer.from(random.bytes(6)).toString('hex')}`, secret: random.bytes(32) }
}

function parseKeyring(file: string, text: string): Keyring {
  try {
    const { keys } = JSON.parse(text) as { readonly keys: unknown }
    if (!Array.isArray(keys)) throw new Error('it has no list of keys')
    return new Keyring(keys.map(parseKey))
  } catch (err) {
    const why = err instanceof Error ? err.message : String(err)
    throw new Error(`${file} is damaged (${why}): restore it from a backup, since secrets cannot be read without it`, {
      cause: err,
    })
  }
}

function parseKey(key: { readonly id?: unknown; readonly secret?: unknown }): KeyringKey {
  const { id, secret } = key
  if (typeof id !== 'string' || !/^[a-z0-9-]{1,63}$/.test(id) || typeof secret !== 'string')
    throw new Error('a key has no id or secret')
  const bytes = Buffer.from(secret, 'base64')
  if (bytes.length !== 32) throw new Error(`the key "${id}" is not 32 bytes long`)
  return { id, secret: bytes }
}
