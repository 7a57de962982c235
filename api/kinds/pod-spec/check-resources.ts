import { wrongQualifiedName } from '../../meta/names.ts'
import { compareQuantity, isQuantity, type Quantity, quantityMilli } from '../../meta/quantity.ts'
import { invalid, notSupported, required } from '../../meta/status.ts'
import { checkText, type Wrong } from '../rules.ts'
import type { ResourceList } from '../shared.ts'
import type { ResourceRequirements } from './container.ts'

const standard = ['cpu', 'memory', 'ephemeral-storage'] as const
/** Extended resources (`example.com/gpu`) are counted in whole pieces and cannot be overcommitted. */
const isExtended = (name: string): boolean => name.includes('/')

export function* checkQuantity(field: string, quantity: Quantity): Wrong {
  if (!isQuantity(quantity)) yield invalid(field, quantity, 'is not a quantity, as in 250m, 64Mi or 2')
  else if (compareQuantity(quantity, '0') < 0) yield invalid(field, quantity, 'must be greater than or equal to 0')
}

export function* checkResourceRequirements(field: string, { limits = {}, requests = {} }: ResourceRequirements): Wrong {
  yield* checkList(`${field}.limits`, limits)
  yield* checkList(`${field}.requests`, requests)
  for (const [name, request] of Object.entries(requests)) {
    const limit = limits[name]
    if (limit !== undefined) yield* checkRequest(`${field}.requests[${name}]`, name, request, limit)
    else if (isExtended(name))
      yield required(`${field}.limits[${name}]`, 'must be set for resources that cannot be overcommitted')
  }
}

function* checkRequest(field: string, name: string, request: Quantity, limit: Quantity): Wrong {
  // A wrong quantity has been reported already.
  if (!isQuantity(request) || !isQuantity(limit)) return
  const order = compareQuantity(request, limit)
  if (order > 0) yield invalid(field, request, `must be less than or equal to ${name} limit of ${limit}`)
  else if (order < 0 && isExtended(name)) yield invalid(field, request, `must be equal to ${name} limit of ${limit}`)
}

function* checkList(field: string, list: ResourceList): Wrong {
  for (const [name, quantity] of Object.entries(list)) {
    const at = `${field}[${name}]`
    if (isExtended(name)) yield* checkText(at, name, wrongQualifiedName)
    else if (!standard.some((known) => known === name)) yield notSupported(at, name, standard)
    yield* checkQuantity(at, quantity)
    if (isExtended(name) && isQuantity(quantity) && quantityMilli(quantity) % 1000 !== 0) {
      yield invalid(at, quantity, 'must be an integer')
    }
  }
}
