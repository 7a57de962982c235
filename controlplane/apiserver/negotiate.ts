import type { IncludeObject } from '../../api/derive/table.ts'
import { notAcceptable } from '../../api/meta/status.ts'

export type Form = 'json' | 'table' | 'metadata'

interface Offer {
  readonly type: string
  readonly as: string | undefined
  readonly group: string | undefined
  readonly version: string | undefined
}

/** The media types of an Accept header in the order in which they stand, which is how clients of Kubernetes mean it. */
export function offersOf(accept: string | undefined): readonly Offer[] {
  return (accept ?? '*/*')
    .slice(0, 4_000)
    .split(',')
    .map((part) => {
      const [type = '', ...params] = part.split(';').map((one) => one.trim())
      const paramOf = (name: string): string | undefined =>
        params.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1)
      return { type: type.toLowerCase(), as: paramOf('as'), group: paramOf('g'), version: paramOf('v') }
    })
}

const isJson = ({ type }: Offer): boolean => ['application/json', '*/*', 'application/*', ''].includes(type)

/** How to answer: the first of the client's wishes that can be met. Throws NotAcceptable when none can. */
export function formOf(accept = '*/*'): Form {
  const known = forms.get(accept)
  if (known !== undefined) return known
  const form = chosenForm(accept)
  if (forms.size < formsLimit && accept.length < 1_000) forms.set(accept, form)
  return form
}

/** Clients send a handful of headers over and over. */
const formsLimit = 100
const forms = new Map<string, Form>()

function chosenForm(accept: string): Form {
  for (const offer of offersOf(accept)) {
    if (!isJson(offer)) continue
    if (offer.as === undefined) return 'json'
    if (offer.group !== 'meta.k8s.io' || (offer.version !== 'v1' && offer.version !== 'v1beta1')) continue
    if (offer.as === 'Table') return 'table'
    if (offer.as === 'PartialObjectMetadata' || offer.as === 'PartialObjectMetadataList') return 'metadata'
  }
  throw notAcceptable('only the following media types are accepted: application/json')
}

export function includeObjectOf(text: string | null): IncludeObject {
  return text === 'None' || text === 'Object' ? text : 'Metadata'
}
