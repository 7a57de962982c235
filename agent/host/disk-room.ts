import { statfs } from 'node:fs/promises'

/** What a file system says about itself; as `statfs` of Node. */
export interface DiskFacts {
  readonly bsize: number
  readonly blocks: number
  readonly bavail: number
  readonly files: number
  readonly ffree: number
}

/**
 * Less than this share is too little, as for Kubernetes, but on a large disk this much is enough (Differs: Kubernetes
 * asks for its share of the largest disk, too).
 */
const leastShare = 0.1
const leastBytes = 5 * 1024 ** 3
const leastInodeShare = 0.05
const leastInodes = 100_000
/** A disk that was too full has to get emptier than that, or the condition would come and go with each log line. */
const easeFactor = 1.2

/** Watches disks for running full. Remembers which ones did. */
export class DiskRoom {
  readonly #read: (folder: string) => Promise<DiskFacts>
  readonly #full = new Set<string>()

  constructor(read: (folder: string) => Promise<DiskFacts> = (folder) => statfs(folder)) {
    this.#read = read
  }

  /** Says what is wrong with the first of these that has too little room. A folder that cannot be read says nothing. */
  async trouble(folders: readonly string[]): Promise<string | undefined> {
    const troubles = await Promise.all(folders.map((folder) => this.#look(folder)))
    return troubles.find((trouble) => trouble !== undefined)
  }

  async #look(folder: string): Promise<string | undefined> {
    const facts = await this.#read(folder).catch(() => undefined)
    if (facts === undefined) return undefined
    const factor = this.#full.has(folder) ? easeFactor : 1
    const { bsize, blocks, bavail, files, ffree } = facts
    const isFull = bavail * bsize < factor * Math.min(leastShare * blocks * bsize, leastBytes)
    // Some file systems make inodes as they go, and say 0.
    const hasFewInodes = files > 0 && ffree < factor * Math.min(leastInodeShare * files, leastInodes)
    if (!isFull && !hasFewInodes) {
      this.#full.delete(folder)
      return undefined
    }
    this.#full.add(folder)
    const share = (part: number, all: number): string => `${Math.floor((100 * part) / Math.max(all, 1))} %`
    return isFull
      ? `the disk of "${folder}" has ${Math.floor((bavail * bsize) / 1024 ** 2)} MiB left (${share(bavail, blocks)}): no new pods until there is room`
      : `the disk of "${folder}" has ${ffree} inodes left (${share(ffree, files)}): no new pods until there are some`
  }
}
