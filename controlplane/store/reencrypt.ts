import type { AbortOptions } from '../../lib/async.ts'
import { pages } from './compare.ts'
import { decrypt, keyIdOf } from './encryption.ts'
import type { Keys } from './keyring.ts'
import { kindPrefix } from './keys.ts'
import type { Store } from './store.ts'

export interface ReencryptResult {
  readonly rewritten: number
  /** Values that could not be read, by key. They are left as they are, and so must be the old keys of the keyring. */
  readonly unreadable: readonly string[]
}

/**
 * Writes every Secret anew that is plain or encrypted with an older key. `raw` is the store below the encryption,
 * `store` the one above. Once nothing is unreadable, older keys can be taken off the keyring.
 */
export async function reencryptSecrets({
  raw,
  store,
  keyring,
  signal,
}: AbortOptions & { raw: Store; store: Store; keyring: Keys }): Promise<ReencryptResult> {
  const unreadable: string[] = []
  let rewritten = 0
  for await (const page of pages(raw, { prefix: kindPrefix({ group: '', plural: 'secrets' }), signal })) {
    for (const { key, value, modRevision } of page.items) {
      if (keyIdOf(value) === keyring.newest.id) continue
      const plain = tryDecrypt(value, { key, keyring })
      if (plain === undefined) {
        unreadable.push(key)
        continue
      }
      // Who has written it meanwhile has used the newest key already.
      const transaction = { conditions: [{ key, modRevision }], writes: [{ put: key, value: plain }] }
      if ((await store.commit(transaction, { signal })).committed) rewritten++
    }
  }
  return { rewritten, unreadable }
}

function tryDecrypt(value: Uint8Array, options: { key: string; keyring: Keys }): Uint8Array | undefined {
  try {
    return decrypt(value, options)
  } catch {
    return undefined // The key is named in the result; reading it logs why.
  }
}
