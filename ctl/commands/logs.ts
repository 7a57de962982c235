import { Pod } from '../../api/kinds/pod.ts'
import type { LogOptions } from '../../api/meta/streams.ts'
import { parseTime } from '../../lib/clock.ts'
import { type Connection, type Context, defineCommand } from '../command.ts'
import { podsOf } from '../find-pod.ts'
import { duration, int, text, toggle } from '../flags.ts'
import { listAll } from '../get-objects.ts'
import { UserError } from '../output.ts'

export const logs = defineCommand({
  name: 'logs',
  summary: 'Print what a container writes',
  args: '(POD | TYPE/NAME) [CONTAINER]',
  flags: {
    follow: toggle({ short: 'f', help: 'Go on as it writes' }),
    previous: toggle({ short: 'p', help: 'Of the container before the last restart' }),
    container: text({ short: 'c', value: 'name', help: 'The container; needed when the pod has several' }),
    allContainers: toggle({ help: 'Of all containers of the pod' }),
    selector: text({ short: 'l', help: 'Of all pods that match a label selector' }),
    tail: int({ help: 'Only the last lines' }),
    since: duration({ help: 'Only what is newer, as in 5m', default: 0 }),
    sinceTime: text({ help: 'Only what was written after an RFC 3339 time' }),
    limitBytes: int({ help: 'At most this many bytes' }),
    timestamps: toggle({ help: 'A time before each line' }),
    prefix: toggle({ help: 'The pod and container before each line' }),
  },
  examples: ['ctl logs web-1 -f', 'ctl logs deployment/web --tail=20', 'ctl logs -p web-1', 'ctl logs -l app=web --prefix'],
  async run({ args, flags }, context) {
    const connection = context.connect()
    const pods = await findPods(args, flags.selector, connection, context)
    const sinceMs = flags.sinceTime === undefined ? undefined : parseTime(flags.sinceTime)
    if (flags.sinceTime !== undefined && sinceMs === undefined)
      throw new UserError(`error: --since-time "${flags.sinceTime}" is no RFC 3339 time`)
    const from = flags.since > 0 ? context.clock.now() - flags.since : sinceMs
    // Of many pods only the end, unless more is asked for.
    const tail = flags.tail ?? (flags.selector === undefined ? -1 : 10)
    const options: LogOptions = {
      follow: flags.follow,
      previous: flags.previous,
      timestamps: flags.timestamps,
      ...(tail < 0 ? {} : { tailLines: tail }),
      ...(flags.limitBytes === undefined ? {} : { limitBytes: flags.limitBytes }),
      ...(from === undefined ? {} : { sinceMs: from }),
    }
    const streams = pods.flatMap((pod) =>
      containersOf(pod, flags.container ?? args[1], flags.allContainers || flags.selector !== undefined, context).map(
        (container) => ({ pod, container }),
      ),
    )
    if (streams.length > 50) throw new UserError(`error: ${streams.length} containers match, at most 50 can be read at a time`)
    await Promise.all(streams.map(({ pod, container }) => copy(pod, container, options, flags.prefix, connection, context)))
    return 0
  },
})

async function findPods(
  args: readonly string[],
  selector: string | undefined,
  { client, namespace }: Connection,
  context: Context,
): Promise<readonly Pod[]> {
  const { signal } = context
  const query = { client, signal, namespace, labelSelector: selector, fieldSelector: undefined }
  if (selector !== undefined) {
    const { items } = await listAll(Pod, query)
    if (items.length === 0) throw new UserError(`No resources found in ${namespace} namespace.`)
    return items as readonly Pod[]
  }
  const [target] = args
  if (target === undefined) throw new UserError('error: expected a pod, as in "logs POD" or "logs deployment/NAME"')
  const [first, ...others] = await podsOf(target, context)
  if (others.length > 0) context.out.note(`Found ${others.length + 1} pods, using pod/${first.metadata.name}`)
  return [first]
}

function containersOf(pod: Pod, wanted: string | undefined, all: boolean, { out }: Context): readonly string[] {
  const names = pod.spec.containers.map(({ name }) => name)
  const inits = (pod.spec.initContainers ?? []).map(({ name }) => name)
  if (wanted !== undefined) return [wanted]
  if (all) return [...inits, ...names]
  const [first = ''] = names
  const preferred = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'] ?? first
  if (names.length > 1)
    out.note(`Defaulted container "${preferred}" out of: ${[...names, ...inits.map((name) => `${name} (init)`)].join(', ')}`)
  return [preferred]
}

async function copy(
  pod: Pod,
  container: string,
  options: LogOptions,
  prefix: boolean,
  { streams }: Connection,
  { out, signal }: Context,
): Promise<void> {
  const { namespace = 'default', name = '', uid = '' } = pod.metadata
  const ref = { namespace, pod: name, uid, node: pod.spec.nodeName ?? '', container }
  try {
    const chunks = streams.log(ref, options, { signal })
    for await (const piece of prefix ? withPrefix(chunks, `[pod/${name}/${container}] `) : chunks) {
      out.write(piece)
      await out.flushed()
    }
  } catch (err) {
    if (!signal.aborted) throw err
  }
}

/** A line without an end is not waited for longer than this. */
const lineLimit = 64 * 1024
const newline = 0x0a

/** Whole lines, each behind a prefix, so that those of several containers do not mix. */
export async function* withPrefix(chunks: AsyncIterable<Uint8Array>, prefix: string): AsyncGenerator<Uint8Array, void, void> {
  const head = Buffer.from(prefix)
  const end = Buffer.from([newline])
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const lines: Uint8Array[] = []
    let text = Buffer.concat([rest, chunk])
    for (let at = text.indexOf(newline); at >= 0; at = text.indexOf(newline)) {
      lines.push(head, text.subarray(0, at + 1))
      text = text.subarray(at + 1)
    }
    for (; text.length > lineLimit; text = text.subarray(lineLimit)) lines.push(head, text.subarray(0, lineLimit), end)
    rest = text
    if (lines.length > 0) yield Buffer.concat(lines)
  }
  if (rest.length > 0) yield Buffer.concat([head, rest, end])
}
