import type { Chance } from './chance.ts'
import { crashingImage, missingImage, sickImage, taskImage } from './engine.ts'
import { type Restore, saved } from './saved.ts'
import type { Size } from './size.ts'

/** Where something of the user's lies. */
interface Place {
  readonly namespace: string
  readonly name: string
}

export type ConfigKind = 'ConfigMap' | 'Secret'

/** What a user does at a time. Plain data: the same workload can be run with and without faults. */
export type Act =
  | (Place & { readonly do: 'deploy'; readonly app: App })
  | (Place & { readonly do: 'scale'; readonly replicas: number })
  | (Place & { readonly do: 'roll'; readonly image: string })
  /** `hasTakenOver`: it is to have what an earlier one of its name left behind, which goes with it. */
  | (Place & {
      readonly do: 'undeploy'
      readonly policy: 'Background' | 'Foreground' | 'Orphan'
      readonly hasTakenOver?: true
    })
  /** `isHeld`: a finalizer keeps it after its deletion, until it is released. */
  | (Place & {
      readonly do: 'runPod'
      readonly image: string
      readonly restartPolicy: 'Always' | 'Never'
      readonly isHeld: boolean
    })
  | (Place & { readonly do: 'deletePod'; readonly gracePeriodSeconds?: number })
  /** Takes the finalizer off. */
  | (Place & { readonly do: 'release' })
  /** One of a deployment's pods, whichever comes first by name. */
  | (Place & { readonly do: 'deleteOneOf'; readonly force: boolean })
  /** Writes over the status of a deployment's pods, as a control plane does that takes their node for silent. */
  | (Place & { readonly do: 'markNotReady' })
  | (Place & { readonly do: 'setConfig'; readonly kind: ConfigKind; readonly version: number })
  | (Place & { readonly do: 'deleteConfig'; readonly kind: ConfigKind })
  /** A service over one deployment. */
  | (Place & { readonly do: 'expose' })
  | (Place & { readonly do: 'unexpose' })
  | { readonly do: 'makeNamespace'; readonly namespace: string }
  | { readonly do: 'deleteNamespace'; readonly namespace: string }
  | { readonly do: 'cordon'; readonly node: string; readonly isOn: boolean }
  /** Cordons it and deletes its pods that a controller makes anew elsewhere. */
  | { readonly do: 'drain'; readonly node: string }
  /** The Node object only; its agent is told to come back. */
  | { readonly do: 'deleteNode'; readonly node: string }
  | OperatorAct

/** What is done to the store itself. */
export type OperatorAct =
  | { readonly do: 'backUp' }
  /** The store is away for a while, and then as it was at the backup; control planes are stopped for it, or go on. */
  | { readonly do: 'restore'; readonly downMs: number; readonly areStopped: boolean }
  /** The store is empty for a while, and then gets its data back. */
  | { readonly do: 'wipe'; readonly forMs: number }

export interface App {
  readonly image: string
  readonly replicas: number
  readonly cpuMilli: number
  readonly graceSeconds: number
  readonly tolerateSeconds: number
  readonly strategy: 'RollingUpdate' | 'Recreate'
  readonly hasProbe: boolean
  /** Absent, it waits until somebody makes it. */
  readonly config?: { readonly kind: ConfigKind; readonly name: string; readonly as: 'env' | 'volume' }
}

export interface Step {
  readonly atMs: number
  readonly act: Act
}

const home = 'default'
const configNames = ['conf-0', 'conf-1']
const configKinds: readonly ConfigKind[] = ['ConfigMap', 'Secret']

/** Invents what users do in the first `spanMs` of a run. */
export function inventWorkload(chance: Chance, size: Size): readonly Step[] {
  const { spanMs } = size
  const inventor = new Inventor(chance, size)
  const times = Array.from({ length: chance.int(size.leastActs, size.mostActs) }, () => chance.int(0, spanMs)).sort(
    (a, b) => a - b,
  )
  const steps = times.flatMap((atMs) => inventor.next().map((what) => ({ atMs, act: what })))
  return [...steps, ...inventor.last().map((what) => ({ atMs: spanMs, act: what }))]
}

/** Knows what there is, so that most acts are about something that is there. */
class Inventor {
  readonly #chance: Chance
  readonly #nodes: number
  readonly #mostPods: number
  readonly #namespaces = new Set<string>([home])
  /** By `namespace/name`. */
  readonly #apps = new Set<string>()
  /** Deleted, and their ReplicaSets left to themselves. */
  readonly #orphans = new Set<string>()
  /** Made where an earlier one of that name had left ReplicaSets behind. */
  readonly #heirs = new Set<string>()
  readonly #pods = new Map<string, { readonly isHeld: boolean }>()
  readonly #held = new Set<string>()
  readonly #configs = new Set<string>()
  readonly #services = new Set<string>()
  readonly #cordoned = new Set<string>()
  #restored: Restore | undefined
  #made = 0
  #version = 1

  constructor(chance: Chance, { nodes, mostPodsPerApp }: Size) {
    this.#chance = chance
    this.#nodes = nodes
    this.#mostPods = mostPodsPerApp
  }

  next(): readonly Act[] {
    const [hasApp, hasPod] = [this.#apps.size > 0, this.#pods.size > 0]
    const mayLackNode = this.#nodes - this.#cordoned.size > 1
    const invent = this.#chance.weighted<() => readonly Act[]>([
      [this.#apps.size + this.#orphans.size < 3 ? 5 : 0, () => this.#deploy()],
      [hasApp ? 3 : 0, () => this.#scale()],
      [hasApp ? 4 : 0, () => this.#roll()],
      [hasApp ? 1.5 : 0, () => this.#undeploy()],
      [this.#pods.size < 3 ? 2 : 0, () => this.#runPod()],
      [hasPod ? 1.5 : 0, () => this.#deletePod()],
      [hasApp ? 2 : 0, () => this.#deleteOneOf()],
      [this.#held.size > 0 ? 3 : 0, () => this.#release()],
      [2, () => this.#setConfig()],
      [this.#configs.size > 0 ? 0.7 : 0, () => this.#deleteConfig()],
      [hasApp ? 1 : 0, () => this.#expose()],
      [this.#services.size > 0 ? 0.7 : 0, () => this.#unexpose()],
      [this.#namespaces.size < 3 ? 1 : 0, () => this.#makeNamespace()],
      [this.#namespaces.size > 1 ? 0.7 : 0, () => this.#deleteNamespace()],
      [mayLackNode ? 1 : 0, () => this.#cordon()],
      [this.#cordoned.size > 0 ? 1 : 0, () => this.#uncordon()],
      [0.4, () => this.#deleteNode()],
      ...this.#operations(),
    ])
    return invent()
  }

  /** Nothing stays held for ever: others than the user delete pods too. */
  last(): readonly Act[] {
    const held = [...this.#held, ...[...this.#pods].flatMap(([key, { isHeld }]) => (isHeld ? [key] : []))]
    return held.map((key) => ({ do: 'release', ...placeOf(key) }))
  }

  /** A name that was there before comes back now and then: it must not be mistaken for the old one. */
  #freshName(prefix: string, used: { has(key: string): boolean }): string | undefined {
    const name = this.#chance.is(0.35) ? `${prefix}-0` : `${prefix}-${++this.#made}`
    const key = `${this.#chance.pick([...this.#namespaces])}/${name}`
    return used.has(key) ? undefined : key
  }

  #deploy(): readonly Act[] {
    const key = this.#freshName('app', this.#apps)
    if (key === undefined) return []
    this.#apps.add(key)
    if (this.#orphans.delete(key)) this.#heirs.add(key)
    return [{ do: 'deploy', ...placeOf(key), app: inventApp(this.#chance, this.#mostPods) }]
  }

  #scale(): readonly Act[] {
    return [{ do: 'scale', ...this.#someApp(), replicas: this.#chance.int(0, this.#mostPods) }]
  }

  #roll(): readonly Act[] {
    return [{ do: 'roll', ...this.#someApp(), image: inventImage(this.#chance, ++this.#version) }]
  }

  #deleteOneOf(): readonly Act[] {
    return [{ do: 'deleteOneOf', ...this.#someApp(), force: this.#chance.is(0.2) }]
  }

  #undeploy(): readonly Act[] {
    const place = this.#someApp()
    const policy = this.#chance.weighted<'Background' | 'Foreground' | 'Orphan'>([
      [4, 'Background'],
      [2, 'Foreground'],
      [1, 'Orphan'],
    ])
    this.#apps.delete(keyOf(place))
    if (policy === 'Orphan') this.#orphans.add(keyOf(place))
    return [{ do: 'undeploy', ...place, policy, ...(this.#heirs.delete(keyOf(place)) ? { hasTakenOver: true } : {}) }]
  }

  #runPod(): readonly Act[] {
    const key = this.#freshName('pod', { has: (one) => this.#pods.has(one) || this.#held.has(one) })
    if (key === undefined) return []
    const isTask = this.#chance.is(0.4)
    const isHeld = this.#chance.is(0.2)
    this.#pods.set(key, { isHeld })
    const image = isTask ? `${taskImage}:1` : 'web:1'
    return [{ do: 'runPod', ...placeOf(key), image, restartPolicy: isTask ? 'Never' : 'Always', isHeld }]
  }

  #deletePod(): readonly Act[] {
    const key = this.#chance.pick([...this.#pods.keys()])
    if (this.#pods.get(key)?.isHeld === true) this.#held.add(key)
    this.#pods.delete(key)
    const grace = this.#chance.pick([{}, { gracePeriodSeconds: 0 }, { gracePeriodSeconds: 1 }])
    return [{ do: 'deletePod', ...placeOf(key), ...grace }]
  }

  #release(): readonly Act[] {
    const key = this.#chance.pick([...this.#held])
    this.#held.delete(key)
    return [{ do: 'release', ...placeOf(key) }]
  }

  #setConfig(): readonly Act[] {
    const kind = this.#chance.pick(configKinds)
    const place = { namespace: this.#chance.pick([...this.#namespaces]), name: this.#chance.pick(configNames) }
    this.#configs.add(`${kind} ${keyOf(place)}`)
    return [{ do: 'setConfig', kind, ...place, version: ++this.#version }]
  }

  #deleteConfig(): readonly Act[] {
    const id = this.#chance.pick([...this.#configs])
    this.#configs.delete(id)
    const kind: ConfigKind = id.startsWith('Secret') ? 'Secret' : 'ConfigMap'
    return [{ do: 'deleteConfig', kind, ...placeOf(id.slice(kind.length + 1)) }]
  }

  #expose(): readonly Act[] {
    const place = this.#someApp()
    if (this.#services.has(keyOf(place))) return []
    this.#services.add(keyOf(place))
    return [{ do: 'expose', ...place }]
  }

  #unexpose(): readonly Act[] {
    const key = this.#chance.pick([...this.#services])
    this.#services.delete(key)
    return [{ do: 'unexpose', ...placeOf(key) }]
  }

  #makeNamespace(): readonly Act[] {
    const namespace = this.#chance.is(0.5) ? 'team-0' : `team-${++this.#made}`
    if (this.#namespaces.has(namespace)) return []
    this.#namespaces.add(namespace)
    // The old one of that name goes only when nothing in it is held.
    const held = [...this.#held].filter((key) => key.startsWith(`${namespace}/`))
    for (const key of held) this.#held.delete(key)
    return [...held.map((key) => ({ do: 'release' as const, ...placeOf(key) })), { do: 'makeNamespace', namespace }]
  }

  #deleteNamespace(): readonly Act[] {
    const namespace = this.#chance.pick([...this.#namespaces].filter((one) => one !== home))
    this.#namespaces.delete(namespace)
    const held = [...this.#held, ...[...this.#pods].flatMap(([key, { isHeld }]) => (isHeld ? [key] : []))]
    for (const all of [this.#apps, this.#orphans, this.#heirs, this.#pods, this.#services])
      for (const key of all.keys()) if (key.startsWith(`${namespace}/`)) all.delete(key)
    for (const id of this.#configs) if (id.includes(` ${namespace}/`)) this.#configs.delete(id)
    for (const key of held) if (key.startsWith(`${namespace}/`)) this.#held.add(key)
    return [{ do: 'deleteNamespace', namespace }]
  }

  #cordon(): readonly Act[] {
    const node = this.#someNode()
    if (this.#cordoned.has(node)) return []
    this.#cordoned.add(node)
    return [this.#chance.is(0.5) ? { do: 'drain', node } : { do: 'cordon', node, isOn: true }]
  }

  #uncordon(): readonly Act[] {
    const node = this.#chance.pick([...this.#cordoned])
    this.#cordoned.delete(node)
    return [{ do: 'cordon', node, isOn: false }]
  }

  #deleteNode(): readonly Act[] {
    const node = this.#someNode()
    this.#cordoned.delete(node)
    return [{ do: 'deleteNode', node }]
  }

  /** What is done to the store, with weights. */
  #operations(): readonly (readonly [number, () => readonly Act[]])[] {
    const hasBackup = this.#restored !== undefined
    return [
      hasBackup ? [2.5, () => this.#restore()] : [0.25, () => this.#backUp()],
      [0.1, () => [{ do: 'wipe', forMs: this.#chance.pick([3000, 15_000, 40_000]) }]],
    ]
  }

  #backUp(): readonly Act[] {
    const sets = [this.#namespaces, this.#orphans, this.#heirs, this.#held, this.#configs, this.#services, this.#cordoned]
    this.#restored = saved(this.#apps, this.#pods, ...sets)
    return [{ do: 'backUp' }]
  }

  /** The same backup may be put back more than once. */
  #restore(): readonly Act[] {
    this.#restored?.()
    return [{ do: 'restore', downMs: this.#chance.pick([500, 3000, 20_000]), areStopped: this.#chance.is(0.5) }]
  }

  #someNode(): string {
    return `node-${this.#chance.int(0, this.#nodes - 1)}`
  }

  #someApp(): Place {
    return placeOf(this.#chance.pick([...this.#apps]))
  }
}

export const keyOf = ({ namespace, name }: Place): string => `${namespace}/${name}`

function placeOf(key: string): Place {
  const [namespace = '', name = ''] = key.split('/')
  return { namespace, name }
}

function inventApp(chance: Chance, mostPods: number): App {
  const config = { kind: chance.pick(configKinds), name: chance.pick(configNames), as: chance.pick(['env', 'volume'] as const) }
  return {
    image: chance.pick(['web:1', 'web:1', 'slow:1']),
    replicas: chance.int(1, mostPods),
    cpuMilli: chance.pick([100, 200, 400]),
    graceSeconds: chance.pick([0, 1, 5, 10]),
    tolerateSeconds: chance.pick([0, 10, 30]),
    strategy: chance.is(0.8) ? 'RollingUpdate' : 'Recreate',
    hasProbe: chance.is(0.3),
    ...(chance.is(0.3) ? { config } : {}),
  }
}

function inventImage(chance: Chance, version: number): string {
  const name = chance.weighted<string>([
    [6, 'web'],
    [2, 'slow'],
    [1, missingImage],
    [1, crashingImage],
    [0.5, sickImage],
  ])
  return `${name}:${version}`
}
