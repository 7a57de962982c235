import { join } from 'node:path'

export interface EtcdFiles {
  /** The authority that etcd's clients and peers must have their certificates from. */
  readonly authorityFile: string
  readonly certFile: string
  readonly keyFile: string
}

export interface EtcdSettings {
  /** etcd's data lies in `etcd` below it. */
  readonly dataFolder: string
  readonly clientPort: number
  readonly peerPort: number
  readonly files: EtcdFiles
  readonly quotaBytes: number
}

export const memberFolder = (dataFolder: string): string => join(dataFolder, 'etcd')
const url = (port: number): string => `https://127.0.0.1:${port}`
export const clientUrl = ({ clientPort }: { readonly clientPort: number }): string => url(clientPort)

/** Listens on the loopback address only, and lets nobody in without a certificate of its own authority. */
export function etcdArgs({ dataFolder, clientPort, peerPort, files, quotaBytes }: EtcdSettings): readonly string[] {
  const flags = {
    name: 'skiff',
    'data-dir': memberFolder(dataFolder),
    'listen-client-urls': url(clientPort),
    'advertise-client-urls': url(clientPort),
    'listen-peer-urls': url(peerPort),
    'initial-advertise-peer-urls': url(peerPort),
    'initial-cluster': `skiff=${url(peerPort)}`,
    'cert-file': files.certFile,
    'key-file': files.keyFile,
    'trusted-ca-file': files.authorityFile,
    'client-cert-auth': 'true',
    'peer-cert-file': files.certFile,
    'peer-key-file': files.keyFile,
    'peer-trusted-ca-file': files.authorityFile,
    'peer-client-cert-auth': 'true',
    'quota-backend-bytes': String(quotaBytes),
    // A backstop, in case our own compaction (by age) does not come.
    'auto-compaction-mode': 'revision',
    'auto-compaction-retention': '200000',
    'snapshot-count': '10000',
    // Its clock ticks at this pace even when nothing happens. A single member has nobody to hear from; it elects itself
    // after the same second as by default.
    'heartbeat-interval': '200',
    logger: 'zap',
    'log-level': 'warn',
  }
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
}

/** Nothing else of our own environment: etcd takes its settings from `ETCD_…` names too. */
export function etcdEnvironment(arch: string): Record<string, string> {
  const unsupported = arch === 'arm64' ? { ETCD_UNSUPPORTED_ARCH: 'arm64' } : {} // 3.4 insists on being told.
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...unsupported }
}
