import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inParts } from './batch-parts.ts'
import type { StoreEvent } from './store.ts'

const event = (modRevision: number): StoreEvent => ({ type: 'delete', key: `k${modRevision}`, modRevision, previous: undefined })
const revisions = (events: readonly StoreEvent[]): readonly number[] =>
  events.map((one) => (one.type === 'put' ? one.current.modRevision : one.modRevision))

test('the parts are the batch, none cuts a revision, and each says how far it goes', () => {
  const steps = fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 60 })
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 8 }), (ups, most) => {
      let at = 1
      const all = ups.map((up) => {
        at += up
        return event(at)
      })
      const parts = [...inParts({ events: all, revision: at + 3, reconnected: true }, most)]
      expect(parts.flatMap(({ events }) => events)).toEqual(all)
      for (const [index, part] of parts.entries()) {
        const next = parts[index + 1]
        expect(part.reconnected).toBe(true)
        if (next === undefined) expect(part.revision).toBe(at + 3)
        else {
          expect(part.events.length).toBeGreaterThanOrEqual(most)
          expect(part.revision).toBe(revisions(part.events).at(-1))
          expect(revisions(next.events)[0]).toBeGreaterThan(part.revision)
        }
      }
    }),
  )
})
