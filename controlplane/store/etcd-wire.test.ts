import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeRange, decodeTxn, encodeRange, encodeTxn } from './etcd-wire.ts'
import { Framer } from './grpc-unary.ts'

type Item = { key: string; value: Uint8Array; createRevision: number; modRevision: number }

// Revisions beyond 32 bits, keys that are not ASCII, values of any bytes.
const revision = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
const item: fc.Arbitrary<Item> = fc.record({
  key: fc.string({ unit: 'grapheme', minLength: 1 }),
  value: fc.uint8Array({ minLength: 1 }),
  createRevision: revision,
  modRevision: revision,
})

function header(writer: BinaryWriter, at: number): void {
  writer
    .uint32(10)
    .fork()
    .uint32(8)
    .uint64('14841639068965178418')
    .uint32(16)
    .uint64(3)
    .uint32(24)
    .int64(at)
    .uint32(32)
    .uint64(7)
    .join()
}

function keyValue(writer: BinaryWriter, { key, value, createRevision, modRevision }: Item): void {
  writer.uint32(18).fork().uint32(10).string(key).uint32(16).int64(createRevision).uint32(24).int64(modRevision)
  writer.uint32(32).int64(9).uint32(42).bytes(value).uint32(48).int64(77).join()
}

test('what etcd found is read as it says, whatever fields it adds', () => {
  fc.assert(
    fc.property(revision, fc.array(item), fc.nat(), (at, items, count) => {
      const writer = new BinaryWriter()
      header(writer, at)
      for (const one of items) keyValue(writer, one)
      writer.uint32(24).bool(true).uint32(32).int64(count).uint32(802).string('of a later version')
      expect(decodeRange(writer.finish())).toEqual({ revision: at, items, count })
    }),
  )
})

test('a transaction that failed gives what its reads found, one that was made gives none', () => {
  fc.assert(
    fc.property(revision, fc.array(item), (at, items) => {
      const failed = new BinaryWriter()
      header(failed, at)
      for (const one of items) {
        failed.uint32(26).fork().uint32(10).fork()
        keyValue(failed, one)
        failed.uint32(32).int64(1).join().join()
      }
      expect(decodeTxn(failed.finish())).toEqual({ revision: at, succeeded: false, found: items })
      const made = new BinaryWriter()
      header(made, at)
      made.uint32(16).bool(true).uint32(26).fork().uint32(18).fork().join().join()
      expect(decodeTxn(made.finish())).toEqual({ revision: at, succeeded: true, found: [] })
    }),
  )
})

test('an answer that is cut off is an error, never another answer', () => {
  const writer = new BinaryWriter()
  header(writer, 12)
  keyValue(writer, { key: 'a', value: new Uint8Array(300), createRevision: 1, modRevision: 2 })
  const whole = writer.finish()
  expect(() => decodeRange(whole.subarray(0, whole.length - 200))).toThrow('premature EOF')
  expect(() => decodeTxn(new Uint8Array(0))).toThrow('etcd says the revision')
})

test('a message goes behind its length', () => {
  const bytes = new Framer().message((writer) => encodeRange(writer, { key: '/a', revision: 2 ** 40 }))
  expect(bytes[0]).toBe(0)
  expect(Buffer.from(bytes).readUInt32BE(1)).toBe(bytes.length - 5)
})

test('each key that a condition names is read once', () => {
  const bytes = new Framer().message((writer) =>
    encodeTxn(writer, {
      conditions: [
        { key: '/a', modRevision: 3 },
        { key: '/a', createRevision: 2 },
        { key: '/b', modRevision: 0 },
      ],
      writes: [{ put: '/a', value: new Uint8Array(1) }, { delete: '/b' }],
    }),
  )
  const reader = new BinaryReader(bytes.subarray(5))
  const counts = new Map<number, number>()
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    counts.set(field, (counts.get(field) ?? 0) + 1)
    reader.skip(type)
  }
  expect([...counts]).toEqual([
    [1, 3],
    [2, 2],
    [3, 2],
  ])
})
