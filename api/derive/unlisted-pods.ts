// Pods that run on a node although the API does not list them, as after a restore of the store from an older backup. The
// node tells of them in a condition; an annotation of the Node says which of them nobody wants.

/** Condition of a Node. */
export const unlistedCondition = 'UnlistedPods'
/** Of a Node: UIDs, separated by commas, of pods that are to go from it. What the API lists stays. */
export const dismissedAnnotation = 'skiff.io/dismissed-pods'

export interface UnlistedPod {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

/** More are counted only: a message has 32 KiB. */
const maxNamed = 100

export function unlistedMessage(pods: readonly UnlistedPod[]): string {
  const named = pods.slice(0, maxNamed).map(({ namespace, name, uid }) => `${namespace}/${name} (${uid})`)
  const more = pods.length > maxNamed ? `, and ${pods.length - maxNamed} more` : ''
  return `run here and are unknown to the API, which may have been restored from an older backup: ${named.join(', ')}${more}`
}

const listed = /(?:^|[ :,])([a-z0-9-]+)\/([a-z0-9.-]+) \(([A-Za-z0-9-]{1,64})\)/g

/** The pods that a message of the condition names. */
export function parseUnlisted(message: string): readonly UnlistedPod[] {
  return [...message.matchAll(listed)].map(([, namespace = '', name = '', uid = '']) => ({ namespace, name, uid }))
}

/** UIDs of a value of the annotation; what is none is passed over, and so is what goes beyond `max`. */
export function parseDismissed(value: string | undefined, max = 1000): ReadonlySet<string> {
  const uids = (value ?? '').split(',').map((uid) => uid.trim())
  return new Set(uids.filter((uid) => /^[A-Za-z0-9-]{1,64}$/.test(uid)).slice(0, max))
}
