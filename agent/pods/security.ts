import type { ImageInfo } from '../runtime/runtime.ts'
import { ConfigError } from './env.ts'
import { type Container, type Pod, podText } from './pod-types.ts'

export interface Identity {
  readonly user: string | undefined
  readonly groups: readonly string[]
}

/** Who the container's first process is. The container's own setting wins over the pod's. Throws when it may not run as root but would. */
export function identityOf(pod: Pod, container: Container, image: ImageInfo): Identity {
  const own = container.securityContext
  const shared = pod.spec.securityContext
  const runAsUser = own?.runAsUser ?? shared?.runAsUser
  const runAsGroup = own?.runAsGroup ?? shared?.runAsGroup
  if ((own?.runAsNonRoot ?? shared?.runAsNonRoot) === true) checkNonRoot(pod, container, runAsUser, image)
  const groups = [...(shared?.supplementalGroups ?? []), ...(shared?.fsGroup === undefined ? [] : [shared.fsGroup])]
  return { user: userText(runAsUser, runAsGroup, image), groups: [...new Set(groups)].map(String) }
}

function userText(user: number | undefined, group: number | undefined, image: ImageInfo): string | undefined {
  if (group === undefined) return user === undefined ? undefined : String(user)
  const name = user === undefined ? (image.user.split(':')[0] ?? '') : String(user)
  return `${name === '' ? '0' : name}:${group}`
}

function checkNonRoot(pod: Pod, { name }: Container, user: number | undefined, image: ImageInfo): void {
  const where = `(pod: "${podText(pod)}", container: ${name})`
  if (user === 0) throw new ConfigError(`container's runAsUser breaks non-root policy ${where}`)
  if (user !== undefined) return
  const imageUser = image.user.split(':')[0] ?? ''
  if (imageUser === '' || /^0+$/.test(imageUser))
    throw new ConfigError(`container has runAsNonRoot and image will run as root ${where}`)
  if (!/^\d+$/.test(imageUser))
    throw new ConfigError(
      `container has runAsNonRoot and image has non-numeric user (${imageUser}), cannot verify user is non-root ${where}`,
    )
}

/** Capability names as Docker takes them, with or without the prefix. */
export const capabilities = (names: readonly string[] = []): readonly string[] =>
  names.map((name) => name.toUpperCase().replace(/^CAP_/, ''))
