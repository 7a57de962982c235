import { Pod } from '../../api/kinds/pod.ts'
import { defineCommand } from '../command.ts'
import { dryRunFlag, readDryRun } from '../dry-run.ts'
import { duration, int, off, text, textOr, texts, toggle } from '../flags.ts'
import { UserError } from '../output.ts'
import { printerOf } from '../printers/output-format.ts'
import { waitForOutcome } from '../wait-outcome.ts'

export const run = defineCommand({
  name: 'run',
  summary: 'Run an image in a pod',
  args: 'NAME --image=IMAGE [-- COMMAND|ARG ...]',
  flags: {
    image: text({ help: 'The image' }),
    port: int({ help: 'The port it listens on' }),
    env: texts({ short: 'e', value: 'NAME=VALUE', help: 'An environment variable' }),
    labels: texts({ value: 'KEY=VALUE', help: 'A label; run=NAME when not given' }),
    restart: textOr('Always', { help: 'Always, OnFailure or Never' }),
    imagePullPolicy: text({ help: 'Always, IfNotPresent or Never' }),
    command: toggle({ help: 'What stands after -- is the command, not its arguments' }),
    wait: off({ help: 'Leave as soon as it is written' }),
    timeout: duration({ help: 'How long to wait until it is ready', default: 10 * 60_000 }),
    dryRun: dryRunFlag('client'),
    output: text({ short: 'o', value: 'format', help: 'Print the object' }),
  },
  examples: ['ctl run web --image=skiff/hello:1 --port=8080'],
  async run({ args, rest, flags }, context) {
    const [name, ...more] = args
    const { image } = flags
    if (name === undefined || more.length > 0) throw new UserError('error: give exactly one NAME; a command stands after "--"')
    if (image === undefined) throw new UserError('error: required flag "image" not set')
    const { client, namespace } = context.connect()
    const dryRun = readDryRun(flags.dryRun)
    const pod = podOf({ name, namespace, image, rest }, flags)
    const created = await client.create(Pod, pod, { signal: context.signal, dryRun: dryRun.isOn, fieldValidation: 'Strict' })
    const printer = printerOf(flags.output)
    if (printer !== undefined) context.out.write(printer([{ kind: Pod, object: created }], false))
    else context.out.line(`pod/${name} created${dryRun.note}`)
    if (dryRun.isOn || !flags.wait) return 0
    return (await waitForOutcome({ kind: Pod, namespace, name, timeoutMs: flags.timeout, stallMs: 60_000 }, context)) ? 0 : 1
  },
})

interface PodFlags {
  readonly port: number | undefined
  readonly env: readonly string[]
  readonly labels: readonly string[]
  readonly restart: string
  readonly imagePullPolicy: string | undefined
  readonly command: boolean
}

interface About {
  readonly name: string
  readonly namespace: string
  readonly image: string
  readonly rest: readonly string[]
}

/** The words of the flags go to the server as they are: it knows what is allowed. */
function podOf({ name, namespace, image, rest }: About, flags: PodFlags): Pod {
  const env = Object.entries(pairs(flags.env, '--env')).map(([key, value]) => ({ name: key, value }))
  const container = {
    name,
    image,
    ...(flags.port === undefined ? {} : { ports: [{ containerPort: flags.port }] }),
    ...(env.length === 0 ? {} : { env }),
    ...(rest.length === 0 ? {} : { [flags.command ? 'command' : 'args']: rest }),
    ...(flags.imagePullPolicy === undefined ? {} : { imagePullPolicy: flags.imagePullPolicy as 'Always' }),
  }
  const labels = flags.labels.length === 0 ? { run: name } : pairs(flags.labels, '--labels')
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { restartPolicy: flags.restart as 'Always', containers: [container] },
  }
}

function pairs(texts: readonly string[], flag: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts
      .flatMap((one) => (flag === '--labels' ? one.split(',') : [one]))
      .map((one) => {
        const at = one.indexOf('=')
        if (at < 1) throw new UserError(`error: ${flag} "${one}" is not of the form NAME=VALUE`)
        return [one.slice(0, at), one.slice(at + 1)]
      }),
  )
}
