import { Deployment } from '../../api/kinds/deployment.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { Service } from '../../api/kinds/service.ts'
import { isAlreadyExists, isNotFound } from '../../api/meta/status.ts'
import type { Client } from '../../client/client.ts'
import type { AbortOptions } from '../../lib/async.ts'
import type { Chance } from './chance.ts'
import { crashingImage, missingImage, taskImage } from './engine.ts'

/** What a user does at a time. Plain data: the same workload can be run with and without faults. */
export type Act =
  | { readonly do: 'deploy'; readonly name: string; readonly app: App }
  | { readonly do: 'scale'; readonly name: string; readonly replicas: number }
  | { readonly do: 'roll'; readonly name: string; readonly image: string }
  | { readonly do: 'undeploy'; readonly name: string }
  | { readonly do: 'runPod'; readonly name: string; readonly image: string; readonly restartPolicy: 'Always' | 'Never' }
  | { readonly do: 'deletePod'; readonly name: string; readonly gracePeriodSeconds?: number }
  /** One of a deployment's pods, whichever comes first by name. */
  | { readonly do: 'deleteOneOf'; readonly name: string; readonly force: boolean }

export interface App {
  readonly image: string
  readonly replicas: number
  readonly cpuMilli: number
  readonly graceSeconds: number
  readonly tolerateSeconds: number
  readonly strategy: 'RollingUpdate' | 'Recreate'
  readonly hasProbe: boolean
}

export interface Step {
  readonly atMs: number
  readonly act: Act
}

const namespace = 'default'
const maxPodsPerApp = 4

/** Invents what users do in the first `spanMs` of a run. */
export function inventWorkload(chance: Chance, spanMs: number): readonly Step[] {
  const inventor = new Inventor(chance)
  const times = Array.from({ length: chance.int(4, 14) }, () => chance.int(0, spanMs)).sort((a, b) => a - b)
  return times.flatMap((atMs) => inventor.next().map((what) => ({ atMs, act: what })))
}

/** Knows what there is, so that most acts are about something that is there. */
class Inventor {
  readonly #chance: Chance
  readonly #apps = new Set<string>()
  readonly #pods = new Set<string>()
  #made = 0
  #version = 1

  constructor(chance: Chance) {
    this.#chance = chance
  }

  next(): readonly Act[] {
    const [hasApp, hasPod] = [this.#apps.size > 0, this.#pods.size > 0]
    const kind = this.#chance.weighted<Act['do']>([
      [this.#apps.size < 3 ? 5 : 0, 'deploy'],
      [hasApp ? 3 : 0, 'scale'],
      [hasApp ? 4 : 0, 'roll'],
      [hasApp ? 1.5 : 0, 'undeploy'],
      [this.#pods.size < 3 ? 2 : 0, 'runPod'],
      [hasPod ? 1.5 : 0, 'deletePod'],
      [hasApp ? 2 : 0, 'deleteOneOf'],
    ])
    if (kind === 'deploy') return this.#deploy()
    if (kind === 'runPod') return this.#runPod()
    return kind === 'deletePod' ? this.#deletePod() : this.#change(kind)
  }

  /** A name that was there before comes back now and then: it must not be mistaken for the old one. */
  #freshName(prefix: string, used: Set<string>): string | undefined {
    const name = this.#chance.is(0.35) ? `${prefix}-0` : `${prefix}-${++this.#made}`
    if (used.has(name)) return undefined
    used.add(name)
    return name
  }

  #deploy(): readonly Act[] {
    const name = this.#freshName('app', this.#apps)
    return name === undefined ? [] : [{ do: 'deploy', name, app: inventApp(this.#chance) }]
  }

  #runPod(): readonly Act[] {
    const name = this.#freshName('pod', this.#pods)
    if (name === undefined) return []
    const isTask = this.#chance.is(0.4)
    return [{ do: 'runPod', name, image: isTask ? `${taskImage}:1` : 'web:1', restartPolicy: isTask ? 'Never' : 'Always' }]
  }

  #deletePod(): readonly Act[] {
    const name = this.#chance.pick([...this.#pods])
    this.#pods.delete(name)
    const grace = this.#chance.pick([{}, { gracePeriodSeconds: 0 }, { gracePeriodSeconds: 1 }])
    return [{ do: 'deletePod', name, ...grace }]
  }

  #change(kind: Exclude<Act['do'], 'deploy' | 'runPod' | 'deletePod'>): readonly Act[] {
    const chance = this.#chance
    const name = chance.pick([...this.#apps])
    if (kind === 'scale') return [{ do: 'scale', name, replicas: chance.int(0, maxPodsPerApp) }]
    if (kind === 'roll') return [{ do: 'roll', name, image: inventImage(chance, ++this.#version) }]
    if (kind === 'deleteOneOf') return [{ do: 'deleteOneOf', name, force: chance.is(0.2) }]
    this.#apps.delete(name)
    return [{ do: 'undeploy', name }]
  }
}

function inventApp(chance: Chance): App {
  return {
    image: chance.pick(['web:1', 'web:1', 'slow:1']),
    replicas: chance.int(1, maxPodsPerApp),
    cpuMilli: chance.pick([100, 200, 400]),
    graceSeconds: chance.pick([0, 1, 5, 10]),
    tolerateSeconds: chance.pick([0, 10, 30]),
    strategy: chance.is(0.8) ? 'RollingUpdate' : 'Recreate',
    hasProbe: chance.is(0.3),
  }
}

function inventImage(chance: Chance, version: number): string {
  const name = chance.weighted<string>([
    [6, 'web'],
    [2, 'slow'],
    [1, missingImage],
    [1, crashingImage],
  ])
  return `${name}:${version}`
}

/** Carries out one act; done before is fine, so that it can be repeated until it succeeds. */
export async function act(client: Client, what: Act, opts: AbortOptions): Promise<void> {
  switch (what.do) {
    case 'deploy':
      return await unlessThere(client.create(Deployment, deployment(what.name, what.app), opts))
    case 'scale':
      return await patch(client, what.name, { spec: { replicas: what.replicas } }, opts)
    case 'roll': {
      const containers = [{ name: 'main', image: what.image }]
      return await patch(client, what.name, { spec: { template: { spec: { containers } } } }, opts)
    }
    case 'undeploy':
      return await unlessGone(client.delete(Deployment, { namespace, name: what.name }, opts))
    case 'runPod':
      return await runPod(client, barePod(what), opts)
    case 'deletePod': {
      const grace = what.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: what.gracePeriodSeconds }
      return await unlessGone(client.delete(Pod, { namespace, name: what.name }, { ...opts, ...grace }))
    }
    case 'deleteOneOf':
      return await deleteOneOf(client, what, opts)
  }
}

/** What every cluster of the simulator has besides: a service over all apps. */
export async function createService(client: Client, opts: AbortOptions): Promise<void> {
  const spec = { selector: { tier: 'apps' }, ports: [{ port: 80 }] }
  await unlessThere(
    client.create(Service, { apiVersion: 'v1', kind: 'Service', metadata: { name: 'all', namespace }, spec }, opts),
  )
}

/** One of the same name that is just being deleted has to go first. */
async function runPod(client: Client, pod: Pod, opts: AbortOptions): Promise<void> {
  await unlessThere(client.create(Pod, pod, opts))
  const { metadata } = await client.get(Pod, { namespace, name: pod.metadata.name ?? '' }, opts)
  if (metadata.deletionTimestamp !== undefined) throw new Error('the old pod of that name is still there')
}

async function deleteOneOf(client: Client, what: Extract<Act, { do: 'deleteOneOf' }>, opts: AbortOptions): Promise<void> {
  const { items } = await client.list(Pod, { ...opts, namespace, labelSelector: `app=${what.name}` })
  const victim = items.map(({ metadata }) => metadata.name ?? '').toSorted()[0]
  if (victim === undefined) return
  const grace = what.force ? { gracePeriodSeconds: 0 } : {}
  await unlessGone(client.delete(Pod, { namespace, name: victim }, { ...opts, ...grace }))
}

async function patch(client: Client, name: string, body: unknown, opts: AbortOptions): Promise<void> {
  await unlessGone(client.patch(Deployment, { namespace, name }, { type: 'strategic', body }, opts))
}

async function unlessThere(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (err) {
    if (!isAlreadyExists(err)) throw err
  }
}

async function unlessGone(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (err) {
    if (!isNotFound(err)) throw err
  }
}

const tolerations = (tolerationSeconds: number) =>
  ['not-ready', 'unreachable'].map((name) => ({
    key: `node.kubernetes.io/${name}`,
    operator: 'Exists' as const,
    effect: 'NoExecute' as const,
    tolerationSeconds,
  }))

function deployment(name: string, app: App): Deployment {
  const labels = { app: name, tier: 'apps' }
  const readinessProbe = { exec: { command: ['check'] }, periodSeconds: 5 }
  const livenessProbe = { exec: { command: ['alive'] }, periodSeconds: 5 }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas: app.replicas,
      selector: { matchLabels: { app: name } },
      strategy: { type: app.strategy },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: app.graceSeconds,
          tolerations: tolerations(app.tolerateSeconds),
          containers: [
            {
              name: 'main',
              image: app.image,
              resources: { requests: { cpu: `${app.cpuMilli}m` } },
              ...(app.hasProbe ? { readinessProbe, livenessProbe } : {}),
            },
          ],
        },
      },
    },
  }
}

function barePod({ name, image, restartPolicy }: Extract<Act, { do: 'runPod' }>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { bare: name } },
    spec: { restartPolicy, containers: [{ name: 'main', image, resources: { requests: { cpu: '100m' } } }] },
  }
}
