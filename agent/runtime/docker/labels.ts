import type { ContainerIdentity, ContainerRole } from '../runtime.ts'

const prefix = 'io.skiff.'
const annotationPrefix = `${prefix}annotation.`
export const ownerLabel = `${prefix}owner`
export const podUidLabel = `${prefix}pod-uid`

type Labels = Readonly<Record<string, string>>

/** Everything by which an agent that knows nothing finds its own containers again, and which pod they belong to. */
export function labelsOf(owner: string, identity: ContainerIdentity, annotations: Labels): Record<string, string> {
  const labels: Record<string, string> = {
    [ownerLabel]: owner,
    [podUidLabel]: identity.podUid,
    [`${prefix}pod-namespace`]: identity.podNamespace,
    [`${prefix}pod-name`]: identity.podName,
    [`${prefix}role`]: identity.role,
    [`${prefix}container`]: identity.container,
    [`${prefix}attempt`]: String(identity.attempt),
    [`${prefix}spec-hash`]: identity.specHash,
  }
  for (const [key, value] of Object.entries(annotations)) labels[annotationPrefix + key] = value
  return labels
}

/** Undefined when the labels are not those of a container of Skiff. */
export function identityOf(labels: Labels): ContainerIdentity | undefined {
  const podUid = labels[podUidLabel]
  const role = roleOf(labels[`${prefix}role`])
  const container = labels[`${prefix}container`]
  const attempt = Number(labels[`${prefix}attempt`])
  if (podUid === undefined || role === undefined || container === undefined || !Number.isSafeInteger(attempt)) return undefined
  return {
    podUid,
    podNamespace: labels[`${prefix}pod-namespace`] ?? '',
    podName: labels[`${prefix}pod-name`] ?? '',
    role,
    container,
    attempt,
    specHash: labels[`${prefix}spec-hash`] ?? '',
  }
}

export function annotationsOf(labels: Labels): Record<string, string> {
  const ours = Object.entries(labels).filter(([key]) => key.startsWith(annotationPrefix))
  // Not by assignment, which a key `__proto__` would get around.
  return Object.fromEntries(ours.map(([key, value]) => [key.slice(annotationPrefix.length), value]))
}

/**
 * The create-once key: the same container of a pod gets the same name whoever asks. Pod UID, container and attempt make
 * it unique; the rest is for people, and is cut.
 */
export function containerName(identity: ContainerIdentity): string {
  const readable = `${identity.podName.slice(0, 63)}_${identity.podNamespace}`
  return `skiff_${identity.container}_${readable}_${identity.podUid}_${identity.attempt}`
}

function roleOf(text: string | undefined): ContainerRole | undefined {
  return text === 'sandbox' || text === 'init' || text === 'app' ? text : undefined
}
