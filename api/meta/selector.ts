import type { LabelSelector } from '../kinds/shared.ts'
import { badRequest } from './status.ts'

export type Labels = Readonly<Record<string, string>>
/** Compiled once, asked for many objects. */
export type LabelMatcher = (labels: Labels | undefined) => boolean

export type Requirement =
  | { readonly key: string; readonly operator: 'In' | 'NotIn'; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: 'Exists' | 'DoesNotExist' }
  | { readonly key: string; readonly operator: 'Gt' | 'Lt'; readonly values: readonly string[] }

/** Whether one requirement holds. NotIn also holds for an object without the label. */
export function requirementHolds(requirement: Requirement, labels: Labels | undefined): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && requirement.values.includes(value)
    case 'NotIn':
      return value === undefined || !requirement.values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'Gt':
      return value !== undefined && isInteger(value) && Number(value) > Number(requirement.values[0])
    case 'Lt':
      return value !== undefined && isInteger(value) && Number(value) < Number(requirement.values[0])
  }
}

const isInteger = (text: string): boolean => /^-?\d+$/.test(text)

function requirementsOf(selector: LabelSelector): readonly Requirement[] {
  const equal = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]): Requirement => ({ key, operator: 'In', values: [value] }),
  )
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values }): Requirement => {
    if (operator === 'In' || operator === 'NotIn') return { key, operator, values: values ?? [] }
    return { key, operator: operator === 'Exists' ? 'Exists' : 'DoesNotExist' }
  })
  return [...equal, ...expressions]
}

/** A LabelSelector as a matcher. An absent selector matches nothing, an empty one everything (Kubernetes). */
export function labelSelector(selector: LabelSelector | undefined): LabelMatcher {
  if (selector === undefined) return () => false
  const requirements = requirementsOf(selector)
  return (labels) => requirements.every((requirement) => requirementHolds(requirement, labels))
}

/** A plain map of labels as a matcher, as Services have it. An empty one matches nothing. */
export function equalitySelector(selector: Labels | undefined): LabelMatcher {
  const wanted = Object.entries(selector ?? {})
  if (wanted.length === 0) return () => false
  return (labels) => labels !== undefined && wanted.every(([key, value]) => labels[key] === value)
}

/** In the query grammar, as in `app=web,tier in (a,b)`. */
export function formatLabelSelector(selector: LabelSelector | undefined): string {
  if (selector === undefined) return '<none>'
  const equal = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`)
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values }) => {
    if (operator === 'Exists') return key
    if (operator === 'DoesNotExist') return `!${key}`
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${[...(values ?? [])].sort().join(',')})`
  })
  return [...equal.sort(), ...expressions].join(',')
}

const requirementLimit = 100

/** Reads a labelSelector query parameter. Throws BadRequest that says which part is wrong. */
export function parseLabelSelector(text: string): LabelMatcher {
  const requirements = splitTopLevel(text).map(parseRequirement)
  if (requirements.length > requirementLimit)
    throw badRequest(`unable to parse requirement: more than ${requirementLimit} requirements`)
  return (labels) => requirements.every((requirement) => requirementHolds(requirement, labels))
}

/** Commas that do not stand in parentheses part the requirements. */
function splitTopLevel(text: string): readonly string[] {
  return text.trim() === '' ? [] : text.split(/,(?![^(]*\))/).map((part) => part.trim())
}

const keyPattern = `[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?`
const valuePattern = `(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?`
const exists = new RegExp(`^(!?)\\s*(${keyPattern})$`)
const equals = new RegExp(`^(${keyPattern})\\s*(==|=|!=)\\s*(${valuePattern})$`)
const compares = new RegExp(`^(${keyPattern})\\s*(>|<)\\s*(-?\\d+)$`)
const oneValue = new RegExp(`^${valuePattern}$`)
const isIn = new RegExp(`^(${keyPattern})\\s+(in|notin)\\s*\\(([^()]*)\\)$`)

function parseRequirement(text: string): Requirement {
  const found = parseExistence(text) ?? parseComparison(text) ?? parseMembership(text)
  if (found !== undefined) return found
  throw badRequest(`unable to parse requirement: "${text}" is not of the form key, !key, key=value, key!=value or key in (a,b)`)
}

function parseExistence(text: string): Requirement | undefined {
  const [, not, key] = exists.exec(text) ?? []
  return key === undefined ? undefined : { key, operator: not === '!' ? 'DoesNotExist' : 'Exists' }
}

function parseComparison(text: string): Requirement | undefined {
  const [, key, operator, value = ''] = equals.exec(text) ?? []
  if (key !== undefined) return { key, operator: operator === '!=' ? 'NotIn' : 'In', values: [value] }
  const [, compared, sign, number = ''] = compares.exec(text) ?? []
  return compared === undefined ? undefined : { key: compared, operator: sign === '>' ? 'Gt' : 'Lt', values: [number] }
}

function parseMembership(text: string): Requirement | undefined {
  const [, key, operator, list = ''] = isIn.exec(text) ?? []
  const values = list.split(',').map((one) => one.trim())
  if (key === undefined || !values.every((value) => oneValue.test(value))) return undefined
  return { key, operator: operator === 'in' ? 'In' : 'NotIn', values }
}

export interface FieldRequirement {
  readonly field: string
  readonly value: string
  readonly equal: boolean
}

/** Reads a fieldSelector query parameter: `a.b=c,d!=e`. Throws BadRequest that says which part is wrong. */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  const parts = text.trim() === '' ? [] : text.split(/(?<!\\),/)
  return parts.map((part) => {
    const match = /^\s*([^=!\s]+)\s*(==|=|!=)(.*)$/.exec(part)
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`)
    const [, field = '', operator, value = ''] = match
    return { field, value: value.trim().replaceAll(/\\([\\,=])/g, '$1'), equal: operator !== '!=' }
  })
}
