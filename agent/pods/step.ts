import type { ContainerRole } from '../runtime/runtime.ts'
import type { Container } from './pod-types.ts'
import type { NextAttempt } from './restart.ts'

/** One container to stop. */
export interface StopTarget {
  readonly id: string
  readonly container: string
  /** Time for the preStop hook and the process together. */
  readonly graceMs: number
  readonly message: string
}

export interface CreateStep extends NextAttempt {
  readonly do: 'create'
  readonly container: Container
  readonly role: ContainerRole
}

/** The one thing to do next. All are idempotent; the worker looks again after each. */
export type Step =
  | { readonly do: 'ensureSandbox' }
  | { readonly do: 'prepareVolumes' }
  | { readonly do: 'fetchImage'; readonly container: Container; readonly attempt: number }
  | CreateStep
  | { readonly do: 'start'; readonly id: string; readonly container: Container }
  | { readonly do: 'postStart'; readonly id: string; readonly container: Container }
  | { readonly do: 'stop'; readonly targets: readonly StopTarget[] }
  | { readonly do: 'remove'; readonly ids: readonly string[] }
  /** All, or all but the one to keep. */
  | { readonly do: 'removeSandbox'; readonly keep?: string }
  | { readonly do: 'cleanUp' }
  /** Nothing of the pod is left on this node. */
  | { readonly do: 'done' }
  /** Something will ring; at the latest look again at `untilMs` (monotonic). */
  | { readonly do: 'wait'; readonly untilMs: number | undefined }
