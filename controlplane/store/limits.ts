import { tooLarge } from '../../api/meta/status.ts'
import { assert } from '../../lib/assert.ts'
import type { Transaction } from './store.ts'

/** Of one transaction's values. etcd takes requests of 1.5 MiB with its default settings, and they hold more than that. */
const maxValueBytes = Math.floor(1.4 * 1024 * 1024)
/** etcd's own default, which counts conditions, writes, and reads on failure each for themselves. */
const maxOperations = 128

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
  const sizes = writes.map((write) => ('put' in write ? write.value.length : 0))
  const size = sizes.reduce((sum, one) => sum + one, 0)
  if (size <= maxValueBytes) return
  throw tooLarge(
    `writing "${written.join('", "').slice(0, 200)}" takes ${size} bytes, and at most ${maxValueBytes} can be stored at once`,
  )
}
