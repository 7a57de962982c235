import type { DeepReadonly } from '../../meta/object-meta.ts'
import { anyList, atomicList, bool, int32, mapList, message, oneOf, opt, req, type Static, str } from '../schema.ts'
import { resourceListSchema } from '../shared.ts'
import { envFromSourceSchema, envVarSchema } from './env.ts'
import { lifecycleSchema, probeSchema } from './probe.ts'
import { securityContextSchema } from './security.ts'

const core = 'io.k8s.api.core.v1'

const containerPortSchema = message(`${core}.ContainerPort`, 'A port that a container listens on.', {
  name: opt(str(), 'Name by which services and probes can refer to the port.', { tag: 1 }),
  hostPort: opt(int32(), 'Port of the node that leads here.', { tag: 2 }),
  containerPort: req(int32(), 'The port, 1 to 65535.', { tag: 3 }),
  protocol: opt(oneOf('TCP', 'UDP'), 'TCP or UDP.', { tag: 4, default: 'TCP' }),
  hostIP: opt(str(), 'Address of the node that hostPort is bound to; all when left out.', { tag: 5 }),
})
export type ContainerPort = DeepReadonly<Static<typeof containerPortSchema>>

export const resourceRequirementsSchema = message(`${core}.ResourceRequirements`, 'What a container needs and may use at most.', {
  limits: opt(resourceListSchema, 'The most the container may use.', { tag: 1 }),
  requests: opt(resourceListSchema, 'What is set aside for the container; the limits when left out.', { tag: 2 }),
  claims: opt(anyList(), 'Devices by dynamic resource allocation.', { tag: 3, skiff: 'refused' }),
})
export type ResourceRequirements = DeepReadonly<Static<typeof resourceRequirementsSchema>>

const volumeMountSchema = message(`${core}.VolumeMount`, 'Where a volume of the pod appears in a container.', {
  name: req(str(), 'Name of the volume.', { tag: 1 }),
  readOnly: opt(bool(), 'Mounts read-only.', { tag: 2 }),
  recursiveReadOnly: opt(oneOf('Disabled'), 'Read-only for mounts below, too; only Disabled is supported.', {
    tag: 7,
    pointer: true,
  }),
  mountPath: req(str(), 'Path in the container; must not contain ":".', { tag: 3 }),
  subPath: opt(str(), 'Path in the volume that is mounted instead of its root.', { tag: 4 }),
  mountPropagation: opt(oneOf('None'), 'Whether mounts made later are seen across; only None is supported.', {
    tag: 5,
    pointer: true,
  }),
  subPathExpr: opt(str(), 'Like subPath, with variables.', { tag: 6, skiff: 'refused' }),
})
export type VolumeMount = DeepReadonly<Static<typeof volumeMountSchema>>

export const containerSchema = message(`${core}.Container`, 'A container of a pod.', {
  name: req(str(), 'Name, unique in the pod.', { tag: 1 }),
  image: opt(str(), 'The image to run.', { tag: 2 }),
  command: opt(atomicList(str()), 'Replaces the entry point of the image.', { tag: 3 }),
  args: opt(atomicList(str()), 'Replaces the arguments of the image.', { tag: 4 }),
  workingDir: opt(str(), 'Working directory; the image’s when left out.', { tag: 5 }),
  ports: opt(mapList(containerPortSchema, 'containerPort', 'protocol'), 'Ports that the container listens on.', { tag: 6 }),
  envFrom: opt(atomicList(envFromSourceSchema), 'Sources that give many variables at once; env wins.', { tag: 19 }),
  env: opt(mapList(envVarSchema, 'name'), 'Environment variables.', { tag: 7 }),
  resources: opt(resourceRequirementsSchema, 'What the container needs and may use at most.', { tag: 8, default: {} }),
  resizePolicy: opt(anyList(), 'What a change of resources in place does.', { tag: 23, skiff: 'ignored' }),
  restartPolicy: opt(str(), 'Always makes an init container a sidecar; not supported yet.', { tag: 24, pointer: true }),
  volumeMounts: opt(mapList(volumeMountSchema, 'mountPath'), 'Volumes that the container sees.', { tag: 9 }),
  volumeDevices: opt(anyList(), 'Raw block devices.', {
    tag: 21,
    skiff: 'refused',
    patchStrategy: 'merge',
    patchMergeKey: 'devicePath',
  }),
  livenessProbe: opt(probeSchema, 'Restarts the container when it fails.', { tag: 10 }),
  readinessProbe: opt(probeSchema, 'Takes the pod out of services while it fails.', { tag: 11 }),
  startupProbe: opt(probeSchema, 'Holds the other probes back until it succeeds.', { tag: 22 }),
  lifecycle: opt(lifecycleSchema, 'Hooks after the start and before the stop.', { tag: 12 }),
  terminationMessagePath: opt(str(), 'File in the container whose text becomes the termination message.', {
    tag: 13,
    default: '/dev/termination-log',
  }),
  terminationMessagePolicy: opt(
    oneOf('File', 'FallbackToLogsOnError'),
    'Whether the end of the log stands in for an empty file after a failure.',
    { tag: 20, default: 'File' },
  ),
  imagePullPolicy: opt(
    oneOf('Always', 'Never', 'IfNotPresent'),
    'When to pull; Always for the tag latest, else IfNotPresent when left out.',
    { tag: 14 },
  ),
  securityContext: opt(securityContextSchema, 'Rights of the container.', { tag: 15 }),
  stdin: opt(bool(), 'Keeps standard input open.', { tag: 16 }),
  stdinOnce: opt(bool(), 'Closes standard input after the first session.', { tag: 17, skiff: 'ignored' }),
  tty: opt(bool(), 'Gives the container a terminal; needs stdin to be of use.', { tag: 18 }),
})
export type Container = DeepReadonly<Static<typeof containerSchema>>
