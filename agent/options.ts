import { int, list, type OptionsOf, text } from '../lib/options.ts'

/** Options of the agent; flags, environment (`SKIFF_AGENT_…`), help and docs derive from this. */
export const options = {
  dataDir: text({ default: '/var/lib/skiff/agent', help: 'Where certificates, the checkpoint and the volumes of pods lie' }),
  nodeName: text({ help: 'Name of this node; its certificate is for the same' }),
  nodeIp: text({ default: '', help: 'Address of this node; found by the default route when not given' }),
  controlPlanes: list({ default: ['127.0.0.1:6444'], help: 'Addresses of control planes, tried in turn' }),
  dockerHost: text({ default: 'unix:///var/run/docker.sock', help: 'The Docker Engine' }),
  bridge: text({ default: 'skiff0', help: 'Name of the network bridge' }),
  spareSandboxes: int({
    default: 4,
    help: 'Sandboxes kept ready for pods to come, at most 50: a pod that takes one does not wait for its own; 0: none',
  }),
  maxSpareSandboxes: int({
    default: 32,
    help: 'As many are kept ready at most, for five minutes after as many pods have come at a time; what they take is bound to a hundredth of the memory',
  }),
  metricsAddress: text({ default: '127.0.0.1:6447', help: 'Where /metrics and /healthz are served; empty: nowhere' }),
  logLevel: text({ default: 'info', help: 'debug, info, warn or error' }),
} as const
export type Options = OptionsOf<typeof options>
