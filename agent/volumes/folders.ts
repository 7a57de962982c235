import { join } from 'node:path'

/** A mistake or a missing thing in the pod's own volumes; the message names it. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError'
  constructor(volume: string, why: string, options?: ErrorOptions) {
    super(`MountVolume.SetUp failed for volume "${volume}" : ${why}`, options)
  }
}

const uidPattern = /^[A-Za-z0-9-]{1,64}$/
const namePattern = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

export const isPodUid = (text: string): boolean => uidPattern.test(text)

/** Where what belongs to a pod lies. Names become folders, so each is checked before. */
export class PodFolders {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  pod(uid: string): string {
    if (!isPodUid(uid)) throw new Error(`"${uid}" can't be the UID of a pod`)
    return join(this.root, uid)
  }

  volume(uid: string, volume: string): string {
    return join(this.pod(uid), 'volumes', checked('volume', volume))
  }

  container(uid: string, container: string): string {
    return join(this.pod(uid), 'containers', checked('container', container))
  }

  terminationLog(uid: string, container: string, attempt: number): string {
    return join(this.container(uid, container), `termination-log.${attempt}`)
  }

  subPath(uid: string, container: string, index: number): string {
    return join(this.pod(uid), 'subpaths', checked('container', container), String(index))
  }

  files(uid: string): string {
    return join(this.pod(uid), 'files')
  }
}

function checked(what: string, name: string): string {
  if (!namePattern.test(name) || name.includes('..')) throw new Error(`"${name}" can't be the name of a ${what}`)
  return name
}

/** Parts of a relative path inside a volume; undefined when it is absolute, empty, or climbs. */
export function relativeParts(path: string): readonly string[] | undefined {
  if (path === '' || path.startsWith('/') || path.length > 4096 || path.includes('\0')) return undefined
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  return parts.length === 0 || parts.includes('..') ? undefined : parts
}
