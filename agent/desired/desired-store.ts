import { createHash } from 'node:crypto'
import type { ConfigMap } from '../../api/kinds/config-map.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import type { Secret } from '../../api/kinds/secret.ts'
import { type Assignments, ServiceTable, type Welcome } from '../../api/proto/agent.ts'
import { forEachLimit } from '../../lib/async.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { DesiredState } from '../contracts.ts'
import { type CheckpointFiles, CheckpointFolder, type LoadedFiles } from './checkpoint.ts'
import { type Changes, DesiredPods, parseObject, parsePod } from './desired-state.ts'
import { formatPosition, type NodeNetwork, type Position, parsePosition, unknownPosition } from './position.ts'

export interface DesiredStoreOptions {
  /** Only this store writes there. A path, or what stands for the disk. */
  readonly folder: string | CheckpointFiles
  readonly clock: Clock
  readonly log: Log
}

export type Applied = { readonly outcome: 'applied'; readonly problems: readonly string[] } | { readonly outcome: 'brokenChain' }

/** Opens the checkpoint; what is damaged is reported, ignored, and makes the store ask for a complete set. */
export async function openDesiredStore(options: DesiredStoreOptions): Promise<DesiredStore> {
  const files = typeof options.folder === 'string' ? new CheckpointFolder(options.folder) : options.folder
  return new DesiredStore(options, files, await files.load())
}

const retryMs = 2000
const writers = 4

/** What this node has to run, as the control plane said it, in memory and (a moment later) on disk. */
export class DesiredStore implements DesiredState {
  readonly #clock: Clock
  readonly #log: Log
  readonly #files: CheckpointFiles
  readonly #state = new DesiredPods()
  readonly #listeners = new Set<(uids: readonly string[]) => void>()
  readonly #nodeListeners = new Set<() => void>()
  #position: Position = unknownPosition
  #services: ServiceTable | undefined
  #isKnown = false
  /** A complete set came that is not older than what this node knew: what it leaves out is gone, also what was never on disk. */
  #isComplete = false
  #mustSpare = false
  #hasHeardAll = false

  /** Names of files to be written or removed; the newest state counts when the writer comes to it. */
  readonly #dirty = new Set<string>()
  #writing: Promise<void> | undefined
  #writeError: string | undefined

  constructor({ clock, log }: DesiredStoreOptions, files: CheckpointFiles, loaded: LoadedFiles) {
    this.#clock = clock
    this.#log = log
    this.#files = files
    this.#restore(loaded)
  }

  get isKnown(): boolean {
    return this.#isKnown
  }

  get position(): Position {
    return this.#position
  }

  get network(): NodeNetwork {
    return this.#position.network
  }

  get services(): ServiceTable | undefined {
    return this.#services
  }

  pod(uid: string): Pod | undefined {
    return this.#state.pods.get(uid)?.pod
  }

  pods(): readonly Pod[] {
    return [...this.#state.pods.values()].map(({ pod }) => pod)
  }

  configMap(namespace: string, name: string): ConfigMap | undefined {
    return this.#state.configMap(namespace, name)
  }

  secret(namespace: string, name: string): Secret | undefined {
    return this.#state.secret(namespace, name)
  }

  isRemoved(uid: string): boolean {
    if (this.#state.removed.has(uid)) return true
    return this.#isComplete && !this.#mustSpare && !this.#state.pods.has(uid) && !this.#state.kept.has(uid)
  }

  isKept(uid: string): boolean {
    return this.#state.kept.has(uid)
  }

  /** A complete set came since this process began. */
  get hasHeardAll(): boolean {
    return this.#hasHeardAll
  }

  /** Why what this node knows is not on disk; undefined while it is. */
  get writeError(): string | undefined {
    return this.#writeError
  }

  get mustSpare(): boolean {
    return this.#mustSpare
  }

  spare(uids: readonly string[]): void {
    for (const uid of uids) if (!this.#state.pods.has(uid)) this.#state.kept.add(uid)
    this.#mustSpare = false
    this.#save('position')
  }

  forget(uid: string): void {
    if (this.#state.removed.delete(uid)) this.#save('position')
  }

  subscribe(listener: (uids: readonly string[]) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Calls when `network` or `services` changed. */
  subscribeNode(listener: () => void): Disposable {
    this.#nodeListeners.add(listener)
    return { [Symbol.dispose]: () => void this.#nodeListeners.delete(listener) }
  }

  /** Says why this control plane must not be obeyed: another cluster's, or one that has been superseded (law 4). */
  refusal(welcome: Welcome): string | undefined {
    const { clusterUid, epoch } = this.#position
    if (clusterUid !== '' && welcome.clusterUid !== clusterUid)
      return `it speaks for cluster "${welcome.clusterUid}", this node belongs to "${clusterUid}"`
    if (welcome.epoch < epoch) return `its epoch ${welcome.epoch} is older than ${epoch}, which this node has obeyed`
    return undefined
  }

  /**
   * Takes over what a control plane said that `refusal` had nothing against. When its store was restored, what it does
   * not list may be what it has forgotten: the position that an omission is judged by is forgotten too.
   */
  welcome({ clusterUid, epoch, incarnation, podCidr, serviceCidr, clusterCidr }: Welcome): void {
    const network = { podCidr, serviceCidr, clusterCidr }
    const isSame = JSON.stringify(network) === JSON.stringify(this.network)
    const known = this.#position.incarnation
    const isRestored = known !== '' && incarnation !== known
    if (isRestored) {
      this.#log.warn('the store of the control plane was restored', { incarnation, known })
      this.#isComplete = false
      this.#mustSpare = true
    }
    const forgotten = isRestored ? { revision: undefined, resultsIn: '' } : {}
    this.#position = { ...this.#position, ...forgotten, clusterUid, incarnation, epoch, network }
    this.#save('position')
    if (!isSame) for (const listener of this.#nodeListeners) listener()
  }

  apply(assignments: Assignments): Applied {
    const { complete, appliesTo, resultsIn, revision } = assignments
    if (!complete && (appliesTo === '' || appliesTo !== this.#position.resultsIn)) return { outcome: 'brokenChain' }
    this.#hasHeardAll ||= complete
    const changes = complete ? this.#replace(assignments) : this.#state.add(assignments)
    for (const problem of changes.problems) this.#log.error('cannot read an assignment', { problem })
    this.#position = { ...this.#position, resultsIn, revision }
    this.#saveChanges(changes)
    const uids = complete && !this.#isKnown ? [...new Set([...this.#state.pods.keys(), ...changes.pods])] : [...changes.pods]
    this.#isKnown ||= complete
    if (uids.length > 0) for (const listener of this.#listeners) listener(uids)
    return { outcome: 'applied', problems: changes.problems }
  }

  #replace(set: Assignments): Changes {
    const seen = this.#position.revision
    const mayRemove = seen !== undefined && set.revision >= seen
    if (seen !== undefined && !mayRemove) this.#mustSpare = true
    if (!mayRemove && this.#state.pods.size > 0)
      this.#log.warn('the control plane is older than this node: stopping nothing that it does not list', {
        revision: set.revision,
        seen,
      })
    const changes = this.#state.replace(set, { mayRemove })
    // What cannot be read is not gone. What this node may have forgotten is spared first: all else was begun by itself.
    this.#isComplete = changes.problems.length === 0
    return changes
  }

  setServices(table: ServiceTable): void {
    this.#services = table
    this.#save('services')
    for (const listener of this.#nodeListeners) listener()
  }

  /** Resolves when everything up to now is on disk or could not be written (which is logged and tried again). */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  #restore({ files, damaged }: LoadedFiles): void {
    const problems = [...damaged]
    for (const [name, text] of files) {
      try {
        this.#restoreFile(name, text)
      } catch (err) {
        problems.push(`${name}: ${String(err)}`)
      }
    }
    this.#isKnown = this.#position.revision !== undefined
    this.#mustSpare = !this.#isKnown || this.#position.mustSpare === true
    if (problems.length === 0 && !this.#isWhole()) problems.push('files and position were not written together')
    for (const uid of this.#position.removed) {
      this.#state.removed.add(uid)
      if (this.#state.pods.delete(uid)) this.#save(`pods/${uid}`) // Died between saying so and removing the file.
    }
    for (const uid of this.#position.kept) this.#state.kept.add(uid)
    if (problems.length === 0) return
    // Whatever was lost comes back with a complete set; until then its containers are strangers, which nobody stops.
    this.#position = { ...this.#position, resultsIn: '' }
    for (const problem of problems) this.#log.error('the checkpoint is damaged', { problem })
  }

  /** Died between the files and the position: the chain does not go on from what is here. */
  #isWhole(): boolean {
    const { files } = this.#position
    if (files === undefined) return true
    const now = this.#prints()
    const extra = Object.keys(now).filter((name) => files[name] === undefined)
    const isRemoved = (name: string): boolean => this.#position.removed.includes(name.slice('pods/'.length))
    return extra.every(isRemoved) && Object.entries(files).every(([name, print]) => now[name] === print)
  }

  #prints(): Readonly<Record<string, string>> {
    const pods = [...this.#state.pods].map(([uid, { json }]) => [`pods/${uid}`, printOf(json)] as const)
    const configs = [...this.#state.configs].map(([key, { json }]) => [`configs/${key}`, printOf(json)] as const)
    return Object.fromEntries([...pods, ...configs])
  }

  #restoreFile(name: string, text: string): void {
    if (name === 'position') this.#position = parsePosition(text)
    else if (name === 'services') this.#services = ServiceTable.decode(Buffer.from(text, 'base64'))
    else if (name.startsWith('pods/')) {
      const uid = name.slice('pods/'.length)
      this.#state.pods.set(uid, { pod: parsePod(uid, text), json: text })
    } else if (name.startsWith('configs/')) {
      const [key = '', ...rest] = text.split('\n')
      const json = rest.join('\n')
      this.#state.configs.set(key, { object: parseObject(json), json })
    } else throw new Error('not a file of the checkpoint')
  }

  #saveChanges(changes: Changes): void {
    for (const uid of changes.pods) this.#save(`pods/${uid}`)
    for (const key of changes.configs) this.#save(`configs/${key}`)
    this.#save('position')
  }

  #save(name: string): void {
    this.#dirty.add(name)
    // Failures are handled inside; the promise never rejects.
    this.#writing ??= Promise.resolve()
      .then(() => this.#write())
      .finally(() => {
        this.#writing = undefined
      })
  }

  async #write(): Promise<void> {
    while (this.#dirty.size > 0) {
      const names = [...this.#dirty]
      this.#dirty.clear()
      try {
        await this.#writeBatch(names)
        if (this.#writeError !== undefined) this.#log.info('the checkpoint is written again')
        this.#writeError = undefined
      } catch (err) {
        const message = err instanceof Error ? err.message : String(err)
        // Tried again every two seconds: said once, or the log would help to fill the disk.
        if (this.#writeError === undefined) this.#log.error('cannot write the checkpoint, trying again', { err })
        this.#writeError = message
        for (const name of names) this.#dirty.add(name)
        this.#clock.after(retryMs, () => this.#save('position'))
        return
      }
    }
  }

  /**
   * New content first, then the position, then removals: a crash in between leaves pods that are newer than the
   * position, which is noticed and makes the store ask for a complete set, and never a removal that nobody remembers.
   */
  async #writeBatch(names: readonly string[]): Promise<void> {
    const [removed, kept] = [[...this.#state.removed], [...this.#state.kept]]
    const files = this.#prints()
    const position = formatPosition({ ...this.#position, removed, kept, files, mustSpare: this.#mustSpare })
    const texts = names.filter((name) => name !== 'position').map((name) => ({ file: fileOf(name), text: this.#textOf(name) }))
    await forEachLimit(texts, writers, async ({ file, text }) => {
      if (text !== undefined) await this.#files.write(file, text)
    })
    await this.#files.write('position', position)
    for (const { file, text } of texts) if (text === undefined) await this.#files.remove(file)
  }

  #textOf(name: string): string | undefined {
    if (name === 'services') return this.#services && Buffer.from(ServiceTable.encode(this.#services).finish()).toString('base64')
    if (name.startsWith('pods/')) return this.#state.pods.get(name.slice('pods/'.length))?.json
    const key = name.slice('configs/'.length)
    const config = this.#state.configs.get(key)
    return config && `${key}\n${config.json}`
  }
}

/** Short: it tells versions of one file apart, and protects from nothing. */
const printOf = (text: string): string => createHash('sha1').update(text).digest('base64url').slice(0, 12)

/** A config's key holds slashes and may be longer than a file's name may be. */
function fileOf(name: string): string {
  return name.startsWith('configs/') ? `configs/${createHash('sha256').update(name).digest('hex').slice(0, 32)}` : name
}
