// The two calls of etcd that every read and write makes, as bytes (etcd's rpc.proto, kv.proto): https://etcd.io/docs/v3.6/learning/api/
import { BinaryReader, type BinaryWriter } from '@bufbuild/protobuf/wire'
import { assert } from '../../lib/assert.ts'
import type { Condition, KeyValue, Transaction, Write } from './store.ts'

export interface RangeRequest {
  readonly key: string
  /** Absent: this key alone. */
  readonly end?: Uint8Array
  readonly limit?: number
  readonly revision?: number | undefined
  readonly keysOnly?: boolean
}

export interface RangeResponse {
  readonly revision: number
  readonly items: readonly KeyValue[]
  /** Of all keys in the range, not only of those given. */
  readonly count: number
}

export interface TxnResponse {
  readonly revision: number
  readonly succeeded: boolean
  /** What the transaction read because it did not succeed. */
  readonly found: readonly KeyValue[]
}

/** A field's tag: its number, and how it is written. */
const varint = (field: number): number => field << 3
const bytes = (field: number): number => (field << 3) | 2

const encoder = new TextEncoder()

export function encodeRange(writer: BinaryWriter, { key, end, limit, revision, keysOnly }: RangeRequest): void {
  writer.uint32(bytes(1)).string(key)
  if (end !== undefined) writer.uint32(bytes(2)).bytes(end)
  if (limit !== undefined) writer.uint32(varint(3)).int64(limit)
  if (revision !== undefined) writer.uint32(varint(4)).int64(revision)
  if (keysOnly === true) writer.uint32(varint(8)).bool(true)
}

/** With all keys that a condition names read in case that it does not hold. */
export function encodeTxn(writer: BinaryWriter, { conditions, writes }: Transaction): void {
  const read = new Map<string, Uint8Array>()
  for (const condition of conditions) {
    const key = read.get(condition.key) ?? encoder.encode(condition.key)
    read.set(condition.key, key)
    compare(writer.uint32(bytes(1)).fork(), key, condition)
  }
  for (const write of writes) request(writer.uint32(bytes(2)).fork(), write)
  for (const key of read.values())
    writer.uint32(bytes(3)).fork().uint32(bytes(1)).fork().uint32(bytes(1)).bytes(key).join().join()
}

const [created, modified] = [1, 2]

function compare(writer: BinaryWriter, key: Uint8Array, condition: Condition): void {
  const isModified = 'modRevision' in condition
  writer
    .uint32(varint(2))
    .int32(isModified ? modified : created)
    .uint32(bytes(3))
    .bytes(key)
  if (isModified) writer.uint32(varint(6)).int64(condition.modRevision)
  else writer.uint32(varint(5)).int64(condition.createRevision)
  writer.join()
}

function request(writer: BinaryWriter, write: Write): void {
  if ('delete' in write) writer.uint32(bytes(3)).fork().uint32(bytes(1)).string(write.delete)
  else {
    writer.uint32(bytes(2)).fork().uint32(bytes(1)).string(write.put).uint32(bytes(2)).bytes(write.value)
    if (write.leaseId !== undefined) writer.uint32(varint(3)).int64(write.leaseId)
  }
  writer.join().join()
}

export function decodeRange(message: Uint8Array): RangeResponse {
  const reader = new BinaryReader(message)
  return range(reader, reader.len)
}

export function decodeTxn(message: Uint8Array): TxnResponse {
  const reader = new BinaryReader(message)
  let [revision, succeeded] = [0, false]
  const found: KeyValue[] = []
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === bytes(1)) revision = headerRevision(reader)
    else if (tag === varint(2)) succeeded = reader.bool()
    else if (tag === bytes(3)) found.push(...readBy(reader))
    else reader.skip(tag & 7)
  }
  assert(revision > 0, 'etcd says the revision of a transaction')
  return { revision, succeeded, found }
}

/** What one operation of a transaction found, if it was a read. */
function readBy(reader: BinaryReader): readonly KeyValue[] {
  const end = endOf(reader)
  const found: KeyValue[] = []
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === bytes(1)) found.push(...range(reader, endOf(reader)).items)
    else reader.skip(tag & 7)
  }
  return found
}

function range(reader: BinaryReader, end: number): RangeResponse {
  let [revision, count] = [0, 0]
  const items: KeyValue[] = []
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === bytes(1)) revision = headerRevision(reader)
    else if (tag === bytes(2)) items.push(keyValue(reader))
    else if (tag === varint(4)) count = Number(reader.int64())
    else reader.skip(tag & 7)
  }
  return { revision, items, count }
}

function headerRevision(reader: BinaryReader): number {
  const end = endOf(reader)
  let revision = 0
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === varint(3)) revision = Number(reader.int64())
    else reader.skip(tag & 7)
  }
  return revision
}

function keyValue(reader: BinaryReader): KeyValue {
  const end = endOf(reader)
  let [key, createRevision, modRevision] = ['', 0, 0]
  let value = noBytes
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === bytes(1)) key = reader.string()
    else if (tag === varint(2)) createRevision = Number(reader.int64())
    else if (tag === varint(3)) modRevision = Number(reader.int64())
    else if (tag === bytes(5)) value = reader.bytes()
    else reader.skip(tag & 7)
  }
  return { key, value, createRevision, modRevision }
}

const noBytes: Uint8Array = new Uint8Array(0)

/** Where the message ends that begins here. */
function endOf(reader: BinaryReader): number {
  const length = reader.uint32()
  return reader.pos + length
}
