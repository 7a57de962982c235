import { crashingImage, missingImage, sickImage } from './engine.ts'
import { type Restore, saved } from './saved.ts'
import { type App, keyOf, type Step } from './workload.ts'

/** What the user asked for in the end. All by `namespace/name`. */
export interface Wish {
  readonly apps: ReadonlyMap<string, App>
  /** Bare pods; the value says whether it ends by itself. */
  readonly pods: ReadonlyMap<string, { readonly isTask: boolean }>
  /** By kind and place: the version of its content. */
  readonly configs: ReadonlyMap<string, number>
  readonly services: ReadonlySet<string>
  readonly namespaces: ReadonlySet<string>
  /** Deployments that were deleted without what they owned. */
  readonly orphans: ReadonlyMap<string, App>
  readonly cordoned: ReadonlySet<string>
  /** Node objects were deleted: bare pods went with them. */
  readonly hasDeletedNode: boolean
  /** The store was set back: what containers hold may be newer than what is stored. */
  readonly hasRestored: boolean
}

/** Those that every cluster has. */
const givenNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

/** Adds up acts. */
export class Wishes implements Wish {
  readonly apps = new Map<string, App>()
  readonly pods = new Map<string, { isTask: boolean }>()
  readonly configs = new Map<string, number>()
  readonly services = new Set<string>(['default/all'])
  readonly namespaces = new Set<string>(givenNamespaces)
  readonly orphans = new Map<string, App>()
  readonly cordoned = new Set<string>()
  hasDeletedNode = false
  hasRestored = false
  #restore: Restore = () => undefined

  add({ act }: Step): void {
    if (act.do === 'backUp') {
      const { apps, pods, configs, services, namespaces, orphans, cordoned } = this
      this.#restore = saved(apps, pods, configs, services, namespaces, orphans, cordoned)
    } else if (act.do === 'restore') {
      this.#restore()
      this.hasRestored = true
    } else if (act.do === 'wipe') return
    else if ('node' in act) {
      if (act.do === 'deleteNode') this.hasDeletedNode = true
      if (act.do === 'drain' || (act.do === 'cordon' && act.isOn)) this.cordoned.add(act.node)
      else this.cordoned.delete(act.node)
    } else if (act.do === 'makeNamespace') this.namespaces.add(act.namespace)
    else if (act.do === 'deleteNamespace') this.#deleteNamespace(act.namespace)
    else this.#addPlaced(act)
  }

  #addPlaced(act: Extract<Step['act'], { readonly name: string }>): void {
    const key = keyOf(act)
    if (act.do === 'deploy') {
      this.apps.set(key, act.app)
      this.orphans.delete(key)
    } else if (act.do === 'scale') this.#change(key, { replicas: act.replicas })
    else if (act.do === 'roll') this.#change(key, { image: act.image })
    else if (act.do === 'undeploy') {
      const app = this.apps.get(key)
      this.apps.delete(key)
      if (act.policy === 'Orphan' && app !== undefined) this.orphans.set(key, app)
    } else if (act.do === 'runPod') this.pods.set(key, { isTask: act.restartPolicy === 'Never' })
    else if (act.do === 'deletePod') this.pods.delete(key)
    else if (act.do === 'setConfig') this.configs.set(`${act.kind} ${key}`, act.version)
    else if (act.do === 'deleteConfig') this.configs.delete(`${act.kind} ${key}`)
    else if (act.do === 'expose') this.services.add(key)
    else if (act.do === 'unexpose') this.services.delete(key)
  }

  #change(key: string, part: Partial<App>): void {
    const app = this.apps.get(key)
    if (app !== undefined) this.apps.set(key, { ...app, ...part })
  }

  #deleteNamespace(namespace: string): void {
    this.namespaces.delete(namespace)
    for (const all of [this.apps, this.pods, this.configs, this.services, this.orphans]) {
      for (const id of all.keys()) if (namespaceOf(id) === namespace) all.delete(id)
    }
  }
}

export function wishOf(steps: readonly Step[]): Wish {
  const wishes = new Wishes()
  for (const step of steps) wishes.add(step)
  return wishes
}

/** Of `namespace/name`, with a kind before it or not. */
const namespaceOf = (id: string): string => id.slice(id.indexOf(' ') + 1).split('/')[0] ?? ''

/** Where an app's config lies. */
export const configOf = (key: string, { config }: App): string | undefined =>
  config === undefined ? undefined : `${config.kind} ${namespaceOf(key)}/${config.name}`

/** No pod of it ever becomes, or stays, ready. */
export function isBad(key: string, app: App, { configs }: Wish): boolean {
  if (app.image.startsWith(missingImage) || app.image.startsWith(crashingImage)) return true
  if (app.image.startsWith(sickImage) && app.hasProbe) return true
  const config = configOf(key, app)
  return config !== undefined && !configs.has(config)
}
