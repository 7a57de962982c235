import { tooLarge } from '../../api/meta/status.ts'
import { assert } from '../../lib/assert.ts'
import type { Transaction } from './store.ts'

/** etcd takes 1.5 MiB with its default settings, and the request has more in it than the value. */
export const maxValueBytes = Math.floor(1.4 * 1024 * 1024)
/** etcd's own default, which counts conditions, writes, and reads on failure each for themselves. */
export const maxOperations = 128

/** Refuses what etcd would refuse, with an error that says what to change; shared by every Store. */
export function checkTransaction({ conditions, writes }: Transaction): void {
  const most = Math.max(conditions.length, writes.length)
  if (most > maxOperations) {
    throw tooLarge(`a transaction holds ${most} operations, and at most ${maxOperations} are possible: write in smaller parts`)
  }
  const written = writes.map((write) => ('put' in write ? write.put : write.delete))
  assert(new Set(written).size === written.length, 'a transaction writes each key once')
  // Otherwise a transaction that is sent again after a lost answer could be carried out twice.
  const guarded = new Set(conditions.flatMap((condition) => ('modRevision' in condition ? [condition.key] : [])))
  assert(
    writes.length === 0 || written.some((key) => guarded.has(key)),
    'a transaction has a condition on the revision of a key that it writes',
  )
  for (const write of writes) if ('put' in write) checkValue(write.put, write.value)
}

function checkValue(key: string, value: Uint8Array): void {
  if (value.length <= maxValueBytes) return
  throw tooLarge(`"${key}" would be ${value.length} bytes large, and at most ${maxValueBytes} can be stored`)
}
