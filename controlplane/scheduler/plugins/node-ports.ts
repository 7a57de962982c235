import { type HostPort, hostPortsOf } from '../snapshot.ts'
import { definePlugin, fits } from './plugin.ts'

const isEvery = (ip: string): boolean => ip === '' || ip === '0.0.0.0' || ip === '::'

export const portsClash = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || isEvery(a.ip) || isEvery(b.ip))

export const nodePorts = definePlugin<readonly HostPort[]>({
  name: 'NodePorts',
  prepare: hostPortsOf,
  filters: (wanted) => wanted.length > 0,
  filter: (wanted, node) =>
    wanted.some((one) => node.hostPorts.some((taken) => portsClash(one, taken)))
      ? ["node(s) didn't have free ports for the requested pod ports"]
      : fits,
  wakes: ['NodeAdded', 'PodGone'],
})
