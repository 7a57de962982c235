import { type AbortOptions, forEachLimit } from '../../lib/async.ts'
import type { Log } from '../../lib/log.ts'
import type { NodeNetwork } from '../network/node-network.ts'
import type { ServiceProxy } from '../network/service-proxy.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { pauseRepository } from '../sandbox/pause-image.ts'

export interface PurgeOptions {
  readonly runtime: Runtime & { removeImage(ref: string, opts: AbortOptions): Promise<void> }
  readonly proxy: Pick<ServiceProxy, 'remove'>
  readonly network: Pick<NodeNetwork, 'remove'>
  readonly log: Log
}

const removalsAtOnce = 4

/**
 * Removes what Skiff made on this machine and nothing else: its containers, its rules, its bridge and links, and its
 * sandbox image. Images that pods pulled stay, for others may use them. Can be repeated after a failure.
 */
export async function purgeNode({ runtime, proxy, network, log }: PurgeOptions, opts: AbortOptions): Promise<void> {
  const states = await runtime.list(opts)
  const isSandbox = ({ identity }: (typeof states)[number]): boolean => identity.role === 'sandbox'
  // Sandboxes last: the others live in their namespaces.
  for (const group of [states.filter((state) => !isSandbox(state)), states.filter(isSandbox)]) {
    await forEachLimit(group, removalsAtOnce, (state) => runtime.remove(state.id, opts))
  }
  await proxy.remove(opts)
  await network.remove(opts)
  for (const { tags } of await runtime.images(opts)) {
    for (const tag of tags) if (tag.startsWith(`${pauseRepository}:`)) await runtime.removeImage(tag, opts)
  }
  log.info('removed everything of skiff from this machine', { containers: states.length })
}
