import type { DeepReadonly } from '../../meta/object-meta.ts'
import { anyObject, atomicList, int32, int64, intOrString, message, oneOf, opt, req, type Static, str } from '../schema.ts'

const core = 'io.k8s.api.core.v1'

const execActionSchema = message(`${core}.ExecAction`, 'Runs a command inside the container; exit code 0 is success.', {
  command: opt(atomicList(str()), 'The command and its arguments; no shell is involved.', { tag: 1 }),
})
export type ExecAction = DeepReadonly<Static<typeof execActionSchema>>

const httpHeaderSchema = message(`${core}.HTTPHeader`, 'A header of an HTTP probe.', {
  name: req(str(), 'Name of the header.', { tag: 1 }),
  value: req(str(), 'Value of the header.', { tag: 2 }),
})

const httpGetActionSchema = message(`${core}.HTTPGetAction`, 'An HTTP GET; any status from 200 to 399 is success.', {
  path: opt(str(), 'Path to ask for.', { tag: 1, default: '/' }),
  port: req(intOrString(), 'Port number, or the name of a port of the container.', { tag: 2 }),
  host: opt(str(), 'Host to connect to; the IP of the pod when left out.', { tag: 3 }),
  scheme: opt(oneOf('HTTP', 'HTTPS'), 'HTTP or HTTPS; certificates are not verified.', { tag: 4, default: 'HTTP' }),
  httpHeaders: opt(atomicList(httpHeaderSchema), 'Headers to send.', { tag: 5 }),
})
export type HTTPGetAction = DeepReadonly<Static<typeof httpGetActionSchema>>

const tcpSocketActionSchema = message(`${core}.TCPSocketAction`, 'Opens a TCP connection; being accepted is success.', {
  port: req(intOrString(), 'Port number, or the name of a port of the container.', { tag: 1 }),
  host: opt(str(), 'Host to connect to; the IP of the pod when left out.', { tag: 2 }),
})

const sleepActionSchema = message(`${core}.SleepAction`, 'Waits.', {
  seconds: req(int64(), 'How long to wait, in seconds.', { tag: 1 }),
})

export const probeSchema = message(`${core}.Probe`, 'A periodic check of a container. Exactly one way to check must be given.', {
  exec: opt(execActionSchema, 'Checks by running a command in the container.', { tag: 1, within: 1 }),
  httpGet: opt(httpGetActionSchema, 'Checks by an HTTP request.', { tag: 2, within: 1 }),
  tcpSocket: opt(tcpSocketActionSchema, 'Checks by opening a TCP connection.', { tag: 3, within: 1 }),
  grpc: opt(anyObject(), 'Checks by a gRPC health request.', { tag: 4, within: 1, skiff: 'refused' }),
  initialDelaySeconds: opt(int32(), 'Seconds after the start of the container before the first check.', { tag: 2 }),
  timeoutSeconds: opt(int32(), 'Seconds after which a check counts as failed.', { tag: 3, default: 1 }),
  periodSeconds: opt(int32(), 'Seconds between checks.', { tag: 4, default: 10 }),
  successThreshold: opt(int32(), 'Successes in a row that end a failed state.', { tag: 5, default: 1 }),
  failureThreshold: opt(int32(), 'Failures in a row that count as failed.', { tag: 6, default: 3 }),
  terminationGracePeriodSeconds: opt(int64(), 'Grace period when this probe ends the container, instead of the pod’s.', {
    tag: 7,
    pointer: true,
  }),
})
export type Probe = DeepReadonly<Static<typeof probeSchema>>

const lifecycleHandlerSchema = message(`${core}.LifecycleHandler`, 'What to do at a point in the life of a container.', {
  exec: opt(execActionSchema, 'Runs a command in the container.', { tag: 1 }),
  httpGet: opt(httpGetActionSchema, 'Makes an HTTP request.', { tag: 2 }),
  tcpSocket: opt(anyObject(), 'Never worked in Kubernetes either.', { tag: 3, skiff: 'refused' }),
  sleep: opt(sleepActionSchema, 'Waits.', { tag: 4 }),
})
export type LifecycleHandler = DeepReadonly<Static<typeof lifecycleHandlerSchema>>

export const lifecycleSchema = message(`${core}.Lifecycle`, 'Hooks of a container.', {
  postStart: opt(lifecycleHandlerSchema, 'Runs right after the start; a failure ends the container.', { tag: 1 }),
  preStop: opt(lifecycleHandlerSchema, 'Runs before the container is asked to stop, within the grace period.', { tag: 2 }),
  stopSignal: opt(str(), 'Signal that asks the container to stop.', { tag: 3, skiff: 'refused' }),
})
export type Lifecycle = DeepReadonly<Static<typeof lifecycleSchema>>
