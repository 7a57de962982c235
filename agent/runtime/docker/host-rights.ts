import { readFile } from 'node:fs/promises'

/** What containers can be given on this host. */
export interface HostRights {
  /** Capabilities, without `CAP_`, that the host's own processes lack, so that no container can have them. */
  readonly missingCapabilities: readonly string[]
}

export const fullRights: HostRights = { missingCapabilities: [] }

/** In the order of their kernel numbers. */
export const capabilityNames = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
] as const

/** Reads the bounding set of this process, which stands for the host: engine and agent run side by side as root. */
export async function readHostRights(statusFile = '/proc/self/status'): Promise<HostRights> {
  return rightsOf(await readFile(statusFile, 'utf8'))
}

export function rightsOf(status: string): HostRights {
  const mask = /^CapBnd:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1]
  if (mask === undefined) return fullRights
  const bits = BigInt(`0x${mask}`)
  // A kernel older than a capability has no bit for it: only what lies below the highest known bit is missing.
  const highest = bits.toString(2).length
  return { missingCapabilities: capabilityNames.filter((_, bit) => bit < highest && (bits & (1n << BigInt(bit))) === 0n) }
}
