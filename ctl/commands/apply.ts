import type { ApiObject } from '../../api/meta/object-meta.ts'
import { isConflict, isNotFound } from '../../api/meta/status.ts'
import { createThreeWayPatch } from '../../api/patch/three-way.ts'
import type { Client } from '../../client/client.ts'
import { type Connection, type Context, defineCommand } from '../command.ts'
import { dryRunFlag, readDryRun } from '../dry-run.ts'
import { duration, off, text, texts, toggle } from '../flags.ts'
import { explainRefusal, loadManifests, type Manifest } from '../manifests.ts'
import { UserError } from '../output.ts'
import { printerOf, sortedKeys } from '../printers/output-format.ts'
import { place, printedName } from '../resources.ts'
import { canWait, waitForOutcome } from '../wait-outcome.ts'

/** The same annotation as kubectl's, so that both can take turns on one object. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'
const conflictTries = 5

export const apply = defineCommand({
  name: 'apply',
  summary: 'Make the cluster look like a manifest, and wait for the outcome',
  args: '-f (FILE | FOLDER | -)',
  flags: {
    filename: texts({ short: 'f', value: 'file', help: 'A manifest, a folder of manifests, or - for standard input' }),
    recursive: toggle({ short: 'R', help: 'Folders with all below them' }),
    wait: off({ help: 'Leave as soon as everything is written' }),
    timeout: duration({ help: 'How long to wait for the outcome', default: 10 * 60_000 }),
    stallTimeout: duration({ help: 'How long something may stand in the way with nothing changing', default: 60_000 }),
    dryRun: dryRunFlag('server'),
    output: text({ short: 'o', value: 'format', help: 'Print the objects: name, yaml, json …' }),
  },
  examples: ['ctl apply -f app.yaml', 'cat app.yaml | ctl apply -f -', 'ctl apply -f manifests/ --no-wait'],
  async run({ args, flags }, context) {
    const connection = context.connect()
    const { client } = connection
    const dryRun = readDryRun(flags.dryRun)
    const manifests = await loadManifests([...flags.filename, ...args], { recursive: flags.recursive, stdin: context.stdin })
    const located = manifests.map((manifest) => locate(manifest, connection))
    // Everything is checked before anything is written: a mistake in the last object must not leave half an application.
    await preflight(located, client, context)
    const printer = printerOf(flags.output)
    const changed: Manifest[] = []
    for (const manifest of located) {
      const write = { client, dryRun: dryRun.isOn, note: context.out.note, signal: context.signal }
      const { object, verb } = await applyOne(manifest, write).catch((err: unknown) => {
        throw explainRefusal(manifest, err) ?? err
      })
      const name = printedName(manifest.kind, object.metadata.name ?? '')
      if (printer === undefined) context.out.line(`${name} ${verb}${dryRun.note}`)
      else context.out.write(printer([{ kind: manifest.kind, object }], false))
      changed.push(manifest)
    }
    if (!flags.wait || dryRun.isOn) return 0
    return await waitForAll(changed, { timeoutMs: flags.timeout, stallMs: flags.stallTimeout }, context)
  },
})

/** Gives namespaced objects the namespace they go to. */
function locate(manifest: Manifest, { namespace, isNamespaceGiven }: Connection): Manifest {
  const { object, kind } = manifest
  if (kind.scope === 'Cluster') return manifest
  const own = object.metadata.namespace
  if (own !== undefined && own !== namespace && isNamespaceGiven)
    throw new UserError(
      `error: ${manifest.file}:${manifest.lineOf('metadata.namespace')}: the namespace from the provided object "${own}" does not match the namespace "${namespace}". You must pass '--namespace=${own}' to perform this operation.`,
    )
  if (own !== undefined) return manifest
  return { ...manifest, object: { ...object, metadata: { ...object.metadata, namespace } } }
}

interface ApplyOptions {
  readonly client: Client
  readonly dryRun: boolean
  readonly note: (text: string) => void
  readonly signal: AbortSignal
}

async function preflight(manifests: readonly Manifest[], client: Client, { signal }: Context): Promise<void> {
  const coming = new Set(manifests.filter(({ kind }) => kind.kind === 'Namespace').map(({ object }) => object.metadata.name))
  for (const manifest of manifests) {
    try {
      await applyOne(manifest, { client, dryRun: true, note: () => undefined, signal })
    } catch (err) {
      // Its namespace is made by this very manifest: the object is checked when it is written.
      if (isNotFound(err) && coming.has(manifest.object.metadata.namespace)) continue
      throw explainRefusal(manifest, err) ?? err
    }
  }
}

async function applyOne(manifest: Manifest, options: ApplyOptions): Promise<{ object: ApiObject; verb: string }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryApply(manifest, options)
    } catch (err) {
      if (isConflict(err) && attempt < conflictTries) continue
      throw err
    }
  }
}

async function tryApply({ object, kind }: Manifest, { client, dryRun, note, signal }: ApplyOptions) {
  const wanted = annotated(object)
  const write = {
    signal,
    dryRun,
    fieldValidation: 'Strict',
    fieldManager: 'ctl',
    onWarning: (warning: string) => note(`Warning: ${warning}`),
  } as const
  const { name } = object.metadata
  if (name === undefined) return { object: await client.create(kind, wanted, write), verb: 'created' }
  const ref = { ...place(kind, object.metadata.namespace ?? 'default'), name }
  const current = await client.get(kind, ref, { signal }).catch((err: unknown) => {
    if (isNotFound(err)) return undefined
    throw err
  })
  if (current === undefined) return { object: await client.create(kind, wanted, write), verb: 'created' }
  const before = readLastApplied(current)
  const patch = createThreeWayPatch(before, wanted, current, kind.schema)
  if (Object.keys(patch).length === 0) return { object: current, verb: 'unchanged' }
  return { object: await client.patch(kind, ref, { type: 'strategic', body: patch }, write), verb: 'configured' }
}

function annotated(object: ApiObject): ApiObject {
  const { [lastApplied]: _, ...annotations } = object.metadata.annotations ?? {}
  const plain = { ...object, metadata: { ...object.metadata, annotations } }
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...annotations, [lastApplied]: `${JSON.stringify(sortedKeys(plain))}\n` } },
  }
}

function readLastApplied({ metadata }: ApiObject): Readonly<Record<string, unknown>> {
  const text = metadata.annotations?.[lastApplied]
  if (text === undefined) return {}
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>
  } catch {
    return {} // Somebody wrote nonsense there: as if it had never been applied.
  }
}

async function waitForAll(
  manifests: readonly Manifest[],
  { timeoutMs, stallMs }: { readonly timeoutMs: number; readonly stallMs: number },
  context: Context,
): Promise<number> {
  let failed = 0
  const until = context.clock.monotonicMs() + timeoutMs
  for (const { kind, object } of manifests) {
    const { name, namespace = 'default' } = object.metadata
    if (name === undefined || !canWait(kind)) continue
    const leftMs = until - context.clock.monotonicMs()
    if (!(await waitForOutcome({ kind, namespace, name, timeoutMs: Math.max(leftMs, 1), stallMs }, context))) failed += 1
  }
  return failed === 0 ? 0 : 1
}
