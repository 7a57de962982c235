import { dequal } from 'dequal'
import { badRequest, invalidPatch, tooLarge } from '../meta/status.ts'
import { isObject, isUnsafeKey, type Json } from './json.ts'

const operationLimit = 10_000
/** Copies of copies double: so many values may all copies of one patch have. */
const copyLimit = 100_000

interface Operation {
  readonly op: string
  readonly path: readonly string[]
  readonly from: readonly string[] | undefined
  readonly value: Json | undefined
}

/**
 * RFC 6902. Throws BadRequest when the patch itself is malformed, and Invalid (422) when an operation does not fit the
 * object; the message names the operation and its path. The object is never half-patched.
 */
export function applyJsonPatch(target: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations')
  if (patch.length > operationLimit)
    throw tooLarge(`the patch has ${patch.length} operations, at most ${operationLimit} are allowed`)
  const operations = (patch as readonly Json[]).map(readOperation)
  const budget = { copies: copyLimit }
  return operations.reduce((value, operation) => applyOperation(value, operation, budget), target)
}

function readOperation(raw: Json, index: number): Operation {
  if (!isObject(raw)) throw badRequest(`operation ${index} of the patch is no object`)
  const { op, path, from, value } = raw
  if (typeof op !== 'string' || !['add', 'remove', 'replace', 'move', 'copy', 'test'].includes(op))
    throw badRequest(`operation ${index} of the patch has the unknown op ${JSON.stringify(op)}`)
  if (typeof path !== 'string') throw badRequest(`operation ${index} of the patch has no path`)
  const needsFrom = op === 'move' || op === 'copy'
  if (needsFrom && typeof from !== 'string') throw badRequest(`operation ${index} of the patch has no from`)
  if (['add', 'replace', 'test'].includes(op) && value === undefined)
    throw badRequest(`operation ${index} of the patch has no value`)
  return { op, path: parsePointer(path), from: typeof from === 'string' ? parsePointer(from) : undefined, value }
}

function parsePointer(pointer: string): readonly string[] {
  if (pointer === '') return []
  if (!pointer.startsWith('/')) throw badRequest(`the path "${pointer}" of the patch does not begin with "/"`)
  const steps = pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (steps.some(isUnsafeKey)) throw badRequest(`the path "${pointer}" of the patch leads to a prototype`)
  return steps
}

interface Budget {
  copies: number
}

/** What is copied is shared until it is changed, but it is written out in full in the end. */
function spend(value: Json, budget: Budget): void {
  budget.copies -= 1
  if (budget.copies < 0) throw tooLarge(`the copies of the patch have more than ${copyLimit} values`)
  if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) spend(part, budget)
}

function applyOperation(target: Json, { op, path, from = [], value = null }: Operation, budget: Budget): Json {
  switch (op) {
    case 'add':
      return change(target, path, (parent, key) => insert(parent, key, value, path))
    case 'replace':
      return change(target, path, (parent, key) => replace(parent, key, value, path))
    case 'remove':
      return change(target, path, (parent, key) => remove(parent, key, path))
    case 'copy': {
      const copied = read(target, from)
      spend(copied, budget)
      return change(target, path, (parent, key) => insert(parent, key, copied, path))
    }
    case 'move': {
      const moved = read(target, from)
      const without = change(target, from, (parent, key) => remove(parent, key, from))
      return change(without, path, (parent, key) => insert(parent, key, moved, path))
    }
    default:
      if (!dequal(read(target, path), value)) throw misfit('test', path, 'the value there is another')
      return target
  }
}

const misfit = (op: string, path: readonly string[], why: string): Error =>
  invalidPatch(`the server rejected our request: ${op} operation on "/${path.join('/')}": ${why}`)

function read(target: Json, path: readonly string[]): Json {
  return path.reduce<Json>((value, step) => child(value, step, path), target)
}

function child(value: Json, step: string, path: readonly string[]): Json {
  const found = Array.isArray(value)
    ? (value as readonly Json[])[indexOf(step)]
    : isObject(value) && Object.hasOwn(value, step)
      ? value[step]
      : undefined
  if (found === undefined) throw misfit('patch', path, `"${step}" does not exist`)
  return found
}

const indexOf = (step: string): number => (/^(0|[1-9]\d{0,8})$/.test(step) ? Number(step) : -1)

/** Rebuilds what lies on the path; everything beside it is shared. */
function change(target: Json, path: readonly string[], edit: (parent: Json, key: string) => Json, depth = 0): Json {
  const key = path[depth]
  if (key === undefined) return edit({ root: target }, 'root') as Json
  if (depth === path.length - 1) return edit(target, key)
  const changed = change(child(target, key, path), path, edit, depth + 1)
  return replace(target, key, changed, path)
}

function insert(parent: Json, key: string, value: Json, path: readonly string[]): Json {
  if (path.length === 0) return value
  if (Array.isArray(parent)) {
    const list = parent as readonly Json[]
    const at = key === '-' ? list.length : indexOf(key)
    if (at < 0 || at > list.length) throw misfit('add', path, `"${key}" is no place in a list of ${list.length}`)
    return list.toSpliced(at, 0, value)
  }
  if (!isObject(parent)) throw misfit('add', path, 'what is above it is neither object nor list')
  return { ...parent, [key]: value }
}

function replace(parent: Json, key: string, value: Json, path: readonly string[]): Json {
  if (path.length === 0) return value
  child(parent, key, path)
  if (Array.isArray(parent)) return (parent as readonly Json[]).with(indexOf(key), value)
  return { ...(parent as { readonly [key: string]: Json }), [key]: value }
}

function remove(parent: Json, key: string, path: readonly string[]): Json {
  if (path.length === 0) throw misfit('remove', path, 'the object as a whole cannot be removed')
  child(parent, key, path)
  if (Array.isArray(parent)) return (parent as readonly Json[]).toSpliced(indexOf(key), 1)
  const { [key]: _, ...rest } = parent as { readonly [key: string]: Json }
  return rest
}
