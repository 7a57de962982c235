import type { DeepReadonly } from '../../meta/object-meta.ts'
import { anyObject, atomicList, bool, int64, message, oneOf, opt, req, type Static, str } from '../schema.ts'

const core = 'io.k8s.api.core.v1'
const ptr = { pointer: true } as const
const unread = { pointer: true, skiff: 'ignored' } as const

const capabilitiesSchema = message(`${core}.Capabilities`, 'Linux capabilities on top of or taken from the default set.', {
  add: opt(atomicList(str()), 'Capabilities to add, as in NET_ADMIN.', { tag: 1 }),
  drop: opt(atomicList(str()), 'Capabilities to take away; ALL takes all.', { tag: 2 }),
})

export const securityContextSchema = message(
  `${core}.SecurityContext`,
  'Rights of one container; wins over the security context of the pod.',
  {
    capabilities: opt(capabilitiesSchema, 'Linux capabilities to add and to drop.', { tag: 1 }),
    privileged: opt(bool(), 'Gives the container every right of root on the node.', { tag: 2, ...ptr }),
    seLinuxOptions: opt(anyObject(), 'SELinux label of the processes.', { tag: 3, skiff: 'ignored' }),
    windowsOptions: opt(anyObject(), 'Settings of Windows containers.', { tag: 10, skiff: 'refused' }),
    runAsUser: opt(int64(), 'User id of the processes.', { tag: 4, ...ptr }),
    runAsGroup: opt(int64(), 'Primary group id of the processes.', { tag: 8, ...ptr }),
    runAsNonRoot: opt(bool(), 'Refuses to start the container as user 0.', { tag: 5, ...ptr }),
    readOnlyRootFilesystem: opt(bool(), 'Makes the root file system read-only.', { tag: 6, ...ptr }),
    allowPrivilegeEscalation: opt(bool(), 'False sets no_new_privs.', { tag: 7, ...ptr }),
    procMount: opt(oneOf('Default'), 'How /proc is mounted; only Default is supported.', { tag: 9, pointer: true }),
    seccompProfile: opt(anyObject(), 'Filter of system calls; the default profile of the Docker Engine applies.', {
      tag: 11,
      skiff: 'ignored',
    }),
    appArmorProfile: opt(anyObject(), 'AppArmor profile; the default profile of the Docker Engine applies.', {
      tag: 12,
      skiff: 'ignored',
    }),
  },
)
export type SecurityContext = DeepReadonly<Static<typeof securityContextSchema>>

const sysctlSchema = message(`${core}.Sysctl`, 'A kernel parameter.', {
  name: req(str(), 'Name, as in net.core.somaxconn.', { tag: 1 }),
  value: req(str(), 'Value to set.', { tag: 2 }),
})

export const podSecurityContextSchema = message(
  `${core}.PodSecurityContext`,
  'Rights that hold for all containers of a pod, unless a container says otherwise.',
  {
    seLinuxOptions: opt(anyObject(), 'SELinux label of all containers.', { tag: 1, skiff: 'ignored' }),
    windowsOptions: opt(anyObject(), 'Settings of Windows containers.', { tag: 8, skiff: 'refused' }),
    runAsUser: opt(int64(), 'User id of the processes.', { tag: 2, ...ptr }),
    runAsGroup: opt(int64(), 'Primary group id of the processes.', { tag: 6, ...ptr }),
    runAsNonRoot: opt(bool(), 'Refuses to start containers as user 0.', { tag: 3, ...ptr }),
    supplementalGroups: opt(atomicList(int64()), 'More groups of the first process of each container.', { tag: 4 }),
    supplementalGroupsPolicy: opt(str(), 'How groups of the image are merged.', { tag: 12, ...unread }),
    fsGroup: opt(int64(), 'Group that owns the files of volumes and that all processes belong to.', { tag: 5, ...ptr }),
    sysctls: opt(atomicList(sysctlSchema), 'Kernel parameters of the namespaces of the pod.', { tag: 7 }),
    fsGroupChangePolicy: opt(str(), 'When the owner of volumes is changed.', { tag: 9, ...unread }),
    seccompProfile: opt(anyObject(), 'Filter of system calls; the default profile of the Docker Engine applies.', {
      tag: 10,
      skiff: 'ignored',
    }),
    appArmorProfile: opt(anyObject(), 'AppArmor profile; the default profile of the Docker Engine applies.', {
      tag: 11,
      skiff: 'ignored',
    }),
    seLinuxChangePolicy: opt(str(), 'How volumes get their SELinux label.', { tag: 13, ...unread }),
  },
)
export type PodSecurityContext = DeepReadonly<Static<typeof podSecurityContextSchema>>
