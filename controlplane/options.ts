import { duration, int, list, type OptionsOf, text } from '../lib/options.ts'

/** Options of the control plane; flags, environment (`SKIFF_CONTROLPLANE_…`), help and docs derive from this. */
export const options = {
  dataDir: text({ default: '/var/lib/skiff', help: 'Where certificates, keys and the data of the etcd that is run here lie' }),
  bindAddress: text({ default: '0.0.0.0', help: 'Address that the API server and the gateway listen on' }),
  apiPort: int({ default: 6443, help: 'Port of the API server' }),
  gatewayPort: int({ default: 6444, help: 'Port that agents dial' }),
  advertise: list({ default: [], help: 'More names and addresses by which clients and agents reach this control plane' }),
  etcdEndpoints: list({ default: [], help: 'An etcd of your own; none: one is run here as a child process' }),
  etcdCa: text({ default: '', help: 'CA certificate of your own etcd' }),
  etcdCert: text({ default: '', help: 'Client certificate for your own etcd' }),
  etcdKey: text({ default: '', help: 'Key of that certificate' }),
  etcdBinary: text({ default: '', help: 'The etcd program; found on PATH when not given' }),
  etcdPort: int({ default: 6445, help: 'Client port of the etcd that is run here; its peer port is the next one' }),
  etcdQuotaMib: int({ default: 4096, help: 'Size in MiB at which the etcd that is run here takes no more writes' }),
  clusterCidr: text({ default: '10.42.0.0/16', help: 'Addresses of pods; each node gets a /24 of it' }),
  serviceCidr: text({ default: '10.43.0.0/16', help: 'Addresses of services' }),
  nodePorts: text({ default: '30000-32767', help: 'Range of node ports' }),
  nodeMonitorGracePeriod: duration({ default: 40_000, help: 'Silence after which a node is marked Unknown' }),
  certificateLife: duration({
    default: 8_760 * 3_600_000,
    help: 'How long certificates are valid; they are renewed before two thirds of it are over',
  }),
  logLevel: text({ default: 'info', help: 'debug, info, warn or error' }),
} as const
export type Options = OptionsOf<typeof options>

export const issueOptions = {
  dataDir: options.dataDir,
  certificateLife: options.certificateLife,
  nodeName: text({ help: 'The node that the certificate is for' }),
  out: text({ help: 'Folder that gets ca.crt and node.pem' }),
} as const
