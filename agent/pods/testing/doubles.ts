import type { ConfigMap } from '../../../api/kinds/config-map.ts'
import type { Secret } from '../../../api/kinds/secret.ts'
import type { DesiredState, PodEvent, Reporter } from '../../contracts.ts'
import type { PodVolumes } from '../deps.ts'
import type { Pod, PodStatus } from '../pod-types.ts'

type Listener = (uids: readonly string[]) => void

/** Desired state by hand. */
export class TestDesired implements DesiredState {
  isKnown = true
  mustSpare = false
  readonly map = new Map<string, Pod>()
  readonly configMaps = new Map<string, ConfigMap>()
  readonly secrets = new Map<string, Secret>()
  readonly removed = new Set<string>()
  readonly #listeners = new Set<Listener>()

  put(pod: Pod): void {
    this.map.set(pod.metadata.uid ?? '', pod)
    this.tell(pod.metadata.uid ?? '')
  }

  remove(uid: string): void {
    this.map.delete(uid)
    this.removed.add(uid)
    this.tell(uid)
  }

  tell(uid: string): void {
    for (const listener of this.#listeners) listener([uid])
  }

  pod(uid: string): Pod | undefined {
    return this.map.get(uid)
  }
  pods(): readonly Pod[] {
    return [...this.map.values()]
  }
  configMap(namespace: string, name: string): ConfigMap | undefined {
    return this.configMaps.get(`${namespace}/${name}`)
  }
  secret(namespace: string, name: string): Secret | undefined {
    return this.secrets.get(`${namespace}/${name}`)
  }
  isRemoved(uid: string): boolean {
    return this.removed.has(uid)
  }
  isKept(): boolean {
    return false
  }
  spare(): void {
    this.mustSpare = false
  }
  forget(uid: string): void {
    this.removed.delete(uid)
  }
  subscribe(listener: Listener): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }
}

export class TestReporter implements Reporter {
  readonly statuses: { readonly uid: string; readonly status: PodStatus; readonly terminated: boolean }[] = []
  readonly events: PodEvent[] = []

  status(pod: Pod, status: PodStatus, terminated: boolean): void {
    this.statuses.push({ uid: pod.metadata.uid ?? '', status, terminated })
  }
  event(_pod: Pod, event: PodEvent): void {
    this.events.push(event)
  }
}

/** Volumes that are only remembered. */
export class TestVolumes implements PodVolumes {
  readonly folders = new Set<string>()
  readonly words = new Map<string, string>()
  failure: Error | undefined

  async prepare(pod: Pod): Promise<ReadonlyMap<string, string>> {
    this.folders.add(pod.metadata.uid ?? '')
    if (this.failure !== undefined) throw this.failure
    return new Map((pod.spec.volumes ?? []).map(({ name }) => [name, `/volumes/${name}`]))
  }
  async refresh(): Promise<void> {
    // Nothing is written.
  }
  async cleanUp(uid: string): Promise<void> {
    this.folders.delete(uid)
  }
  async known(): Promise<readonly string[]> {
    return [...this.folders]
  }
  async subPath(_place: unknown, volumePath: string, subPath: string): Promise<string> {
    return `${volumePath}/${subPath}`
  }
  async terminationLog(uid: string, container: string, attempt: number): Promise<string> {
    return `/logs/${uid}/${container}/${attempt}`
  }
  async lastWords(_uid: string, container: string, attempt: number): Promise<string> {
    return this.words.get(`${container}/${attempt}`) ?? ''
  }
  filesFolder(uid: string): string {
    return `/files/${uid}`
  }
}

/** A pod with one container `web` of image `web:1`. */
export function testPod(spec: Partial<Pod['spec']> = {}, metadata: Partial<Pod['metadata']> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', uid: 'uid-1', resourceVersion: '1', ...metadata },
    spec: { containers: [{ name: 'web', image: 'web:1' }], restartPolicy: 'Always', ...spec },
  }
}
