import { Node } from '../../api/kinds/node.ts'
import { Pod } from '../../api/kinds/pod.ts'
import { type Context, defineCommand } from '../command.ts'
import { installation } from '../local/paths.ts'
import { runningPid } from '../local/process.ts'
import { readSettings } from '../local/settings.ts'

export const status = defineCommand({
  name: 'status',
  summary: 'Say what of Skiff runs on this machine, and how the cluster is',
  flags: {},
  async run(_, context) {
    const at = installation(context.env)
    const settings = await readSettings(at, context.env)
    let isRunning = true
    for (const [name, what] of [
      ['controlplane', 'control plane'],
      ['agent', 'agent'],
    ] as const) {
      const pid = await runningPid(at, name)
      context.out.line(`${what}: ${pid === undefined ? 'not running' : `running (pid ${pid})`}`)
      if (pid === undefined) isRunning = false
    }
    if (settings === undefined) {
      context.out.line('nothing was ever started here; "ctl up" does it')
      return 3
    }
    if (!isRunning) return 3
    return (await clusterStatus(context)) ? 0 : 3
  },
})

/** One line each for server, nodes and pods. False: the server does not answer, or a node is not ready. */
async function clusterStatus({ connect, out }: Context): Promise<boolean> {
  const { client, server } = connect()
  const signal = AbortSignal.timeout(5_000)
  try {
    const nodes = (await client.list(Node, { signal })).items
    const pods = (await client.list(Pod, { signal })).items
    const ready = nodes.filter((node) =>
      node.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
    )
    const running = pods.filter((pod) => pod.status?.phase === 'Running')
    out.line(`server: ${server} answers`)
    out.line(`nodes: ${ready.length} of ${nodes.length} ready`)
    out.line(`pods: ${running.length} of ${pods.length} running`)
    return nodes.length > 0 && ready.length === nodes.length
  } catch (err) {
    out.line(`server: ${server} does not answer: ${err instanceof Error ? err.message : String(err)}`)
    return false
  }
}
