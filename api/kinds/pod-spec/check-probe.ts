import { wrongPort, wrongPortName } from '../../meta/names.ts'
import { forbiddenField, invalid, required } from '../../meta/status.ts'
import { checkMin, checkRange, checkText, type Wrong } from '../rules.ts'
import type { Container } from './container.ts'
import type { ExecAction, HTTPGetAction, Lifecycle, LifecycleHandler, Probe } from './probe.ts'

export function* checkPortRef(field: string, port: number | string): Wrong {
  if (typeof port === 'string') yield* checkText(field, port, wrongPortName)
  else if (wrongPort(port) !== undefined) yield invalid(field, port, wrongPort(port) ?? '')
}

function* checkExec(field: string, exec: ExecAction): Wrong {
  if ((exec.command ?? []).length === 0) yield required(`${field}.command`)
}

function* checkHttpGet(field: string, get: HTTPGetAction): Wrong {
  if (get.path === '') yield required(`${field}.path`)
  yield* checkPortRef(`${field}.port`, get.port)
  for (const [index, header] of (get.httpHeaders ?? []).entries()) {
    if (!/^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/.test(header.name)) {
      yield invalid(`${field}.httpHeaders[${index}].name`, header.name, 'is not the name of an HTTP header')
    }
    if (/[\r\n\0]/.test(header.value)) {
      yield invalid(`${field}.httpHeaders[${index}].value`, header.value, 'may not contain line breaks')
    }
  }
}

interface Handler {
  readonly exec?: ExecAction
  readonly httpGet?: HTTPGetAction
  readonly tcpSocket?: unknown
  readonly grpc?: unknown
  readonly sleep?: unknown
}

/** Exactly one way to check or to act. */
function* checkOneHandler(field: string, handler: Handler): Wrong {
  const given = (['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const).filter((key) => handler[key] !== undefined)
  if (given.length === 0) yield required(field, 'must specify a handler type')
  for (const extra of given.slice(1)) yield forbiddenField(`${field}.${extra}`, 'may not specify more than 1 handler type')
  if (handler.exec !== undefined) yield* checkExec(`${field}.exec`, handler.exec)
  if (handler.httpGet !== undefined) yield* checkHttpGet(`${field}.httpGet`, handler.httpGet)
}

type ProbeName = 'livenessProbe' | 'readinessProbe' | 'startupProbe'

export function* checkProbe(field: string, which: ProbeName, probe: Probe): Wrong {
  yield* checkOneHandler(field, probe)
  if (probe.tcpSocket !== undefined) yield* checkPortRef(`${field}.tcpSocket.port`, probe.tcpSocket.port)
  for (const key of ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'] as const) {
    yield* checkMin(`${field}.${key}`, probe[key], 0)
  }
  if (which !== 'readinessProbe' && (probe.successThreshold ?? 1) !== 1) {
    yield invalid(`${field}.successThreshold`, probe.successThreshold, 'must be 1')
  }
  yield* checkProbeGrace(field, which, probe.terminationGracePeriodSeconds)
}

function* checkProbeGrace(field: string, which: ProbeName, seconds: number | undefined): Wrong {
  if (seconds === undefined) return
  const at = `${field}.terminationGracePeriodSeconds`
  if (which === 'readinessProbe') yield invalid(at, seconds, 'must not be set for readinessProbes')
  else if (seconds <= 0) yield invalid(at, seconds, 'must be greater than 0')
}

export function* checkLifecycle(field: string, lifecycle: Lifecycle, graceSeconds: number): Wrong {
  const hooks = [
    ['postStart', lifecycle.postStart],
    ['preStop', lifecycle.preStop],
  ] as const
  for (const [name, hook] of hooks) {
    if (hook !== undefined) yield* checkHook(`${field}.${name}`, hook, graceSeconds)
  }
}

function* checkHook(field: string, hook: LifecycleHandler, graceSeconds: number): Wrong {
  yield* checkOneHandler(field, hook)
  if (hook.sleep !== undefined) yield* checkRange(`${field}.sleep.seconds`, hook.sleep.seconds, 0, graceSeconds)
}

/** Init containers run to their end, so nothing probes them. */
export function* checkNoProbes(field: string, container: Container): Wrong {
  for (const key of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    if (container[key] !== undefined) yield forbiddenField(`${field}.${key}`, 'may not be set for init containers')
  }
}
