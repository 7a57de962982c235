// Runs inside a machine, beside Skiff, and reads Docker and etcd past it. One line of JSON per look on its output: a
// quick one now and then, a full one for each line of input. Ends with its input.

import process from 'node:process'
import { createInterface } from 'node:readline'
import Docker from 'dockerode'
import { Etcd3, type Namespace } from 'etcd3'
import { isAlive, type Look, type SeenContainer, type SeenPod } from './judge.ts'

/** How the watcher is told what to look at, as its only argument. */
export interface WatcherOptions {
  readonly engines: readonly string[]
  readonly etcd: { readonly endpoints: readonly string[]; readonly ca: string; readonly cert: string; readonly key: string }
  readonly everyMs: number
}

const callMs = 2_000
const objects = '/skiff/objects/'
const label = { owner: 'io.skiff.owner', ip: 'io.skiff.annotation.ip' } as const

/** `skiff_container_pod_namespace_uid_attempt`. Something else is a spare, of no pod yet. */
function whose(name: string): { readonly container: string; readonly pod: string; readonly podUid: string } | undefined {
  const [skiff, container, pod, namespace, podUid, attempt] = name.replace(/^\//, '').split('_')
  if (skiff !== 'skiff' || !container || !pod || !namespace || !podUid || attempt === undefined) return undefined
  return { container, pod: `${namespace}/${pod}`, podUid }
}

async function containersOf(docker: Docker, isFull: boolean): Promise<readonly SeenContainer[]> {
  const abortSignal = AbortSignal.timeout(callMs)
  const listed = await docker.listContainers({ all: true, filters: { label: [label.owner] }, abortSignal })
  const seen = listed.flatMap((row): readonly SeenContainer[] => {
    const owner = whose(row.Names[0] ?? '')
    return owner === undefined ? [] : [{ id: row.Id, ...owner, state: row.State, ip: row.Labels[label.ip] }]
  })
  const sameName = (a: SeenContainer, b: SeenContainer): boolean => a.podUid === b.podUid && a.container === b.container
  const asked = await Promise.all(
    seen.map(async (quick): Promise<SeenContainer | undefined> => {
      // An engine whose disk was full lists containers as running that have ended, for good; asked for one it knows.
      const isDoubtful = seen.some((other) => other.id !== quick.id && sameName(other, quick) && isAlive(other) && isAlive(quick))
      if (!isFull && !isDoubtful) return quick
      const inspect = await docker
        .getContainer(quick.id)
        .inspect({ abortSignal })
        .catch(() => undefined)
      return inspect === undefined ? undefined : { ...quick, state: inspect.State.Status, startedAt: inspect.State.StartedAt }
    }),
  )
  return asked.filter((container) => container !== undefined)
}

interface Stored {
  readonly metadata: {
    readonly uid: string
    readonly name: string
    readonly namespace?: string
    readonly deletionTimestamp?: string
    readonly ownerReferences?: readonly { readonly uid: string }[]
  }
  readonly spec: { readonly replicas?: number; readonly containers?: readonly { readonly name: string }[] }
  readonly status?: {
    readonly phase?: string
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
  }
}

async function stored(etcd: Etcd3 | Namespace, kind: string): Promise<readonly Stored[]> {
  const values = await etcd
    .getAll()
    .prefix(`${objects}${kind}/`)
    .options({ deadline: Date.now() + callMs })
    .strings()
  return Object.values(values).map((text) => JSON.parse(text) as Stored) // These kinds are stored as plain JSON.
}

const isTrue = ({ status }: Stored, type: string): boolean =>
  status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false
const keyOf = ({ metadata }: Stored): string => `${metadata.namespace ?? ''}/${metadata.name}`

const podOf = (pod: Stored): SeenPod => ({
  uid: pod.metadata.uid,
  key: keyOf(pod),
  owner: pod.metadata.ownerReferences?.[0]?.uid,
  isDeleted: pod.metadata.deletionTimestamp !== undefined,
  hasEnded: ['Succeeded', 'Failed'].includes(pod.status?.phase ?? ''),
  isReady: isTrue(pod, 'Ready'),
  containers: pod.spec.containers?.map(({ name }) => name) ?? [],
})

const options = JSON.parse(process.argv[2] ?? '{}') as WatcherOptions
const dockers = options.engines.map((socketPath) => new Docker({ socketPath }))
const { endpoints, ca, cert, key } = options.etcd
const etcd = new Etcd3({
  hosts: [...endpoints],
  credentials: { rootCertificate: Buffer.from(ca), certChain: Buffer.from(cert), privateKey: Buffer.from(key) },
})

const orNothing = async <T>(of: Promise<T>): Promise<T | undefined> => await of.catch(() => undefined)

async function look(isFull: boolean): Promise<Look> {
  const [containers, pods, sets, nodes] = await Promise.all([
    orNothing(Promise.all(dockers.map((docker) => containersOf(docker, isFull)))),
    orNothing(stored(etcd, 'core/pods')),
    orNothing(stored(etcd, 'apps/replicasets')),
    orNothing(stored(etcd, 'core/nodes')),
  ])
  return {
    atMs: Number(process.hrtime.bigint() / 1_000_000n),
    containers: containers?.flat(),
    pods: pods?.map(podOf),
    sets: sets
      ?.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map((set) => ({ uid: set.metadata.uid, key: keyOf(set), replicas: set.spec.replicas ?? 1 })),
    sickNodes: nodes?.filter((node) => !isTrue(node, 'Ready')).map(({ metadata }) => metadata.name),
  }
}

const say = (is: 'quick' | 'full', seen: Look): void => void process.stdout.write(`${JSON.stringify({ is, look: seen })}\n`)

const lines = createInterface({ input: process.stdin })
lines.on('line', () => {
  look(true).then(
    (seen) => say('full', seen),
    () => process.exit(1),
  )
})
lines.on('close', () => process.exit(0))
for (;;) {
  say('quick', await look(false))
  await new Promise((resolve) => setTimeout(resolve, options.everyMs))
}
