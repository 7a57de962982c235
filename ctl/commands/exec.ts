import type { ContainerRef, ExecInput, ExecOptions } from '../../api/meta/streams.ts'
import { BoundedQueue } from '../../lib/queue.ts'
import { type Context, defineCommand } from '../command.ts'
import { podsOf } from '../find-pod.ts'
import { text, toggle } from '../flags.ts'
import { UserError } from '../output.ts'

const inputLimit = 1024

export const exec = defineCommand({
  name: 'exec',
  summary: 'Run a command in a container',
  args: '(POD | TYPE/NAME) [-c CONTAINER] -- COMMAND [ARG ...]',
  flags: {
    stdin: toggle({ short: 'i', help: 'Pass standard input' }),
    tty: toggle({ short: 't', help: 'Standard input is a terminal' }),
    container: text({ short: 'c', value: 'name', help: 'The container; the first when not given' }),
  },
  examples: ['ctl exec web-1 -- cat /etc/hosts', 'ctl exec -it web-1 -- sh'],
  async run({ args, rest, flags }, context) {
    const [target = '', ...more] = args
    const command = rest.length > 0 ? rest : more
    if (target === '') throw new UserError('error: pod or type/name must be specified')
    if (command.length === 0) throw new UserError('error: you must specify at least one command for the container, after "--"')
    const tty = wantsTty(flags, context)
    const options = { command, stdin: flags.stdin, stdout: true, stderr: !tty, tty }
    const ref = await findContainer(target, flags.container, context)
    const code = await runExec(ref, options, context)
    if (code !== 0 && !tty) context.out.note(`command terminated with exit code ${code}`)
    return code
  },
})

function wantsTty(flags: { readonly tty: boolean; readonly stdin: boolean }, { stdin, out }: Context): boolean {
  const tty = flags.tty && flags.stdin && stdin.isTTY === true
  if (flags.tty && !tty) out.note('Unable to use a TTY - input is not a terminal or the right kind of file')
  return tty
}

async function findContainer(target: string, wanted: string | undefined, context: Context): Promise<ContainerRef> {
  const [pod] = await podsOf(target, context)
  const names = pod.spec.containers.map((container) => container.name)
  const container = wanted ?? pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'] ?? names[0] ?? ''
  if (wanted === undefined && names.length > 1) context.out.note(`Defaulted container "${container}" out of: ${names.join(', ')}`)
  const { namespace = 'default', name = '' } = pod.metadata
  return { namespace, pod: name, uid: pod.metadata.uid ?? '', node: pod.spec.nodeName ?? '', container }
}

async function runExec(ref: ContainerRef, options: ExecOptions, context: Context): Promise<number> {
  using input = openInput(options, context)
  for await (const output of context.connect().streams.exec(ref, options, input.read(), { signal: context.signal })) {
    if (output.type === 'stdout') context.out.write(output.data)
    else if (output.type === 'stderr') context.out.writeError(output.data)
    else return output.code
    await context.out.flushed()
  }
  throw new UserError('error: the connection ended before the command did')
}

/** Keys and window sizes of this terminal, in raw mode while it is open. */
function openInput({ stdin: wanted, tty }: ExecOptions, { stdin, stdout, signal }: Context) {
  const queue = new BoundedQueue<ExecInput>(inputLimit)
  const onData = (data: Buffer): void => {
    queue.push({ type: 'stdin', data })
    // A paste or a pipe faster than the other side: read on when it has been taken.
    if (queue.size > inputLimit / 2) stdin.pause()
  }
  const onEnd = (): void => queue.push({ type: 'stdinEnd' })
  const onResize = (): void => queue.push({ type: 'resize', width: stdout.columns, height: stdout.rows })
  if (tty) {
    stdin.setRawMode(true)
    stdout.on('resize', onResize)
    onResize()
  }
  if (wanted) stdin.on('data', onData).on('end', onEnd)
  return {
    async *read(): AsyncGenerator<ExecInput> {
      for await (const item of queue.read({ signal })) {
        yield item
        if (wanted && stdin.isPaused() && queue.size < inputLimit / 4) stdin.resume()
      }
    },
    [Symbol.dispose](): void {
      queue.end()
      stdout.off('resize', onResize)
      stdin.off('data', onData).off('end', onEnd)
      if (tty) stdin.setRawMode(false)
      stdin.pause()
    },
  }
}
