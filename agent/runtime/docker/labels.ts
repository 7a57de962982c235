import { type ContainerIdentity, type ContainerRole, isSpareUid } from '../runtime.ts'

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

/**
 * Undefined when the labels are not those of a container of Skiff. Labels stay what they were when the container was
 * made, so for a sandbox that was prepared ahead its name says whose it is.
 */
export function identityOf(labels: Labels, name = ''): ContainerIdentity | undefined {
  const written = writtenIdentity(labels)
  return written === undefined || !isSpareUid(written.podUid) ? written : namedIdentity(written, name)
}

/** A spare under a name that nobody of ours gave it is nobody's: another attempt than any that is handed out. */
function namedIdentity(written: ContainerIdentity, name: string): ContainerIdentity {
  const { podName, podNamespace, podUid, attempt } = nameParts.exec(name)?.groups ?? {}
  if (podName === undefined || podNamespace === undefined || podUid === undefined) return { ...written, attempt: 1 }
  return { ...written, podName, podNamespace, podUid, attempt: Number(attempt) }
}

const nameParts = /^\/?skiff_POD_(?<podName>[^_]*)_(?<podNamespace>[^_]*)_(?<podUid>[^_]+)_(?<attempt>\d{1,9})$/

/** Matches the names, as the engine sees them, of the containers of a pod. */
export const namePattern = (podUid: string): string => `^/?skiff_[^_]+_[^_]*_[^_]*_${escapeRegExp(podUid)}_[0-9]+$`
const escapeRegExp = (text: string): string => text.replace(/[^\w-]/g, '\\$&')

function writtenIdentity(labels: Labels): ContainerIdentity | undefined {
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
