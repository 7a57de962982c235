import { conflict } from '../../api/meta/status.ts'
import { Bell, sleep } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Service } from '../../lib/service.ts'
import type { KeyringFile } from './keyring.ts'
import { reencryptSecrets } from './reencrypt.ts'
import type { Store } from './store.ts'

export interface RewriteOrder {
  /** Makes a new key first. Without it the file is read again, and its first key is used. */
  readonly newKey: boolean
  /** Takes the old keys off the keyring when nothing is encrypted with them any more. */
  readonly forgetOld: boolean
}

export interface RewriteState {
  readonly state: 'idle' | 'running' | 'done' | 'failed'
  readonly rewritten: number
  /** Secrets that no key of the keyring opens. */
  readonly unreadable: readonly string[]
  /** Keys on the keyring, and the one that writes. */
  readonly keys: number
  readonly newestKey: string
  /** Why it failed. */
  readonly message?: string
}

export interface SecretsRewriteOptions {
  readonly keyring: KeyringFile
  /** Below the encryption, and above it. */
  readonly raw: Store
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
}

type Progress = Omit<RewriteState, 'keys' | 'newestKey'>

/** A write that began before the new key was there has ended after it. */
const writeMs = 10_000
const maxPasses = 20

/** Encrypts all Secrets anew while everything goes on. Reads never stop working: old keys go last, if at all. */
export class SecretsRewrite implements Service {
  readonly name = 'rewrite of secrets'
  readonly #options: SecretsRewriteOptions
  readonly #bell = new Bell()
  #order: RewriteOrder | undefined
  #progress: Progress = { state: 'idle', rewritten: 0, unreadable: [] }

  constructor(options: SecretsRewriteOptions) {
    this.#options = options
  }

  get state(): RewriteState {
    const { size: keys, newest } = this.#options.keyring
    return { ...this.#progress, keys, newestKey: newest.id }
  }

  /** Begins; `state` tells the rest. One at a time. */
  start(order: RewriteOrder): RewriteState {
    if (this.#progress.state === 'running')
      throw conflict({ group: '', plural: 'secrets', kind: 'Secret' }, 'all', 'they are being rewritten already')
    this.#order = order
    this.#progress = { state: 'running', rewritten: 0, unreadable: [] }
    this.#bell.ring()
    return this.state
  }

  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#bell.wait({ signal })
      if (this.#order === undefined) continue
      try {
        await this.#carryOut(this.#order, signal)
      } catch (err) {
        this.#options.log.error('secrets could not be rewritten', { err })
        this.#progress = { ...this.#progress, state: 'failed', message: err instanceof Error ? err.message : String(err) }
        signal.throwIfAborted()
      }
    }
  }

  async #carryOut({ newKey, forgetOld }: RewriteOrder, signal: AbortSignal): Promise<void> {
    const { keyring, clock, log } = this.#options
    if (newKey) await keyring.rotate()
    else await keyring.reload()
    log.info('secrets are being rewritten', { key: keyring.newest.id, keys: keyring.size })
    await this.#rewriteAll(signal)
    if (forgetOld) {
      if (this.#progress.unreadable.length > 0) throw new Error('old keys are kept, since not all secrets could be read')
      await sleep(clock, writeMs, signal)
      await this.#rewriteAll(signal)
      await keyring.forgetOld()
    }
    this.#progress = { ...this.#progress, state: 'done' }
    log.info('secrets were rewritten', { ...this.state })
  }

  async #rewriteAll(signal: AbortSignal): Promise<void> {
    for (let pass = 0; pass < maxPasses; pass++) {
      const { rewritten, unreadable } = await reencryptSecrets({ ...this.#options, signal })
      this.#progress = { ...this.#progress, rewritten: this.#progress.rewritten + rewritten, unreadable }
      if (rewritten === 0) return
    }
    throw new Error(`secrets were still written with an old key after ${maxPasses} passes: does another control plane use it?`)
  }
}
