import type { KindDef } from '../api/kinds/define.ts'
import { kinds } from '../api/kinds/registry.ts'
import { UserError } from './output.ts'

/** What a command was pointed at: a kind, and a name or all of them. */
export interface Target {
  readonly kind: KindDef
  readonly name: string | undefined
}

/** As discovery lists them, and so as kubectl shows them: by group, the core group first, then by plural. */
export const kindsInOrder = kinds.toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
function orderOf({ group, plural }: KindDef): string {
  return `${group}/${plural}`
}

/** Finds a kind by plural, singular, short name or kind, as in `po`, `deploy`, `deployments.apps`. */
export function findKind(text: string): KindDef {
  const wanted = text.toLowerCase()
  const found = kinds.find((kind) => namesOf(kind).includes(wanted))
  if (found === undefined) throw new UserError(`error: the server doesn't have a resource type "${text}"`)
  return found
}

function namesOf(kind: KindDef): readonly string[] {
  const names = [kind.plural, kind.singular, kind.kind.toLowerCase(), ...kind.shortNames]
  const suffixes = kind.group === '' ? [''] : ['', `.${kind.group}`, `.${kind.version}.${kind.group}`]
  return names.flatMap((name) => suffixes.map((suffix) => `${name}${suffix}`))
}

/** Reads `TYPE[,TYPE] [NAME…]` or `TYPE/NAME …`. */
export function parseTargets(args: readonly string[]): readonly Target[] {
  const [first, ...names] = args
  if (first === undefined)
    throw new UserError('error: you must say which resource, as in "pods" or "deployment/web"; "ctl api-resources" lists them')
  if (args.some((arg) => arg.includes('/'))) return args.map(parseTyped)
  const found = first.split(',').flatMap(kindsNamed)
  if (names.length === 0) return found.map((kind) => ({ kind, name: undefined }))
  return found.flatMap((kind) => names.map((name) => ({ kind, name })))
}

function parseTyped(arg: string): Target {
  const [type = '', name = '', ...more] = arg.split('/')
  if (type === '' || name === '' || more.length > 0)
    throw new UserError(`error: "${arg}" is not of the form TYPE/NAME; types and names cannot be mixed with "TYPE NAME"`)
  return { kind: findKind(type), name }
}

function kindsNamed(text: string): readonly KindDef[] {
  const category = kindsInOrder.filter((kind) => kind.categories.includes(text))
  return category.length > 0 ? category : [findKind(text)]
}

/** `deployment.apps/web`: how kubectl names an object it has dealt with. */
export function printedName(kind: KindDef, name: string): string {
  return `${kind.singular}${kind.group === '' ? '' : `.${kind.group}`}/${name}`
}

/** The namespace to use for a kind: none for cluster-scoped ones. */
export function place(kind: KindDef, namespace: string): { readonly namespace?: string } {
  return kind.scope === 'Namespaced' ? { namespace } : {}
}
