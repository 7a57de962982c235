import type { Fault, TimedFault } from './faults.ts'
import type { Trigger } from './inflict.ts'
import type { Plan } from './run.ts'
import type { Act, App, Step } from './workload.ts'

const place = { namespace: 'default', name: 'app-1' }
const pod = { namespace: 'default', name: 'pod-1' }
const runPod = { do: 'runPod', ...pod, image: 'web:1', restartPolicy: 'Always', isHeld: false } as const
/** At once: nobody waits for the node. */
const deletePod = { do: 'deletePod', ...pod, gracePeriodSeconds: 0 } as const

function deploy(more: Partial<App>): Act {
  const app: App = {
    ...{ image: 'web:1', replicas: 1, cpuMilli: 100, graceSeconds: 1, tolerateSeconds: 30 },
    ...{ strategy: 'RollingUpdate', hasProbe: false },
    ...more,
  }
  return { do: 'deploy', ...place, app }
}

const scale = (replicas: number): Act => ({ do: 'scale', ...place, replicas })

const at = (atMs: number, ...acts: readonly Act[]): readonly Step[] => acts.map((act) => ({ atMs, act }))
const strike = (atMs: number, ...faults: readonly Fault[]): readonly TimedFault[] => faults.map((fault) => ({ atMs, fault }))

const crashAtCall = (calls: number, downMs: number): Fault => ({
  kind: 'agentCrashAtCall',
  node: 0,
  calls,
  isAfter: true,
  downMs,
})

function times(first: number, last: number, step: number): readonly number[] {
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) => first + index * step)
}

interface Parts {
  readonly workload: readonly Step[]
  readonly faults?: readonly TimedFault[]
  readonly triggers?: readonly Trigger[]
  readonly nodes?: number
  readonly planes?: number
  readonly spanMs?: number
}

function plan({ workload, faults = [], triggers = [], nodes = 1, planes = 1, spanMs = 40_000 }: Parts): Plan {
  return { size: { nodes, planes, spanMs }, workload, faults, triggers }
}

/**
 * What the simulator has found, written down: seeds mean something else whenever a workload or a fault is added. Each
 * is run in all its variants, of which some brought the bug about before it was fixed.
 */
export const scenarios: Readonly<Record<string, readonly Plan[]>> = {
  'a pod that was marked not ready while its node was silent is ready again': times(39_000, 62_000, 2000).map((forMs) =>
    plan({
      workload: at(0, deploy({ tolerateSeconds: 300 })),
      faults: [{ atMs: 8_000, fault: { kind: 'cut', node: 0, forMs } }],
      spanMs: 100_000,
      nodes: 2,
    }),
  ),
  'what somebody else writes over the status of a pod does not stay': [
    plan({ workload: [...at(0, deploy({ replicas: 2 })), ...at(20_000, { do: 'markNotReady', ...place })] }),
  ],
  'a container that was started before its pod came to the disk goes with it': [
    'node-0 started pod-1/POD',
    'node-0 started pod-1/main',
  ].map((started) =>
    plan({
      workload: [...at(1000, runPod), ...at(8000, deletePod)],
      faults: [{ atMs: 500, fault: { kind: 'diskStands', node: 0, forMs: 20_000 } }],
      triggers: [{ at: started, faults: [{ kind: 'agentCrash', node: 0, downMs: 15_000 }] }],
    }),
  ),
  'a pod that is deleted while its agent is down goes, wherever its writes to the disk had come': times(1, 24, 1).map((calls) =>
    plan({
      workload: [...at(1000, runPod), ...at(12_000, deletePod)],
      triggers: [{ at: 'ADDED pods pod-1', faults: [crashAtCall(calls, 20_000)] }],
    }),
  ),
  'a probed pod stays in service when its agent is started anew': [200, 2000, 10_000].flatMap((downMs) =>
    [3000, 15_000].map((atMs) =>
      plan({
        workload: at(0, deploy({ hasProbe: true })),
        faults: [{ atMs, fault: { kind: 'agentCrash', node: 0, downMs } }],
      }),
    ),
  ),
  'a probed pod stays in service when its agent is started anew a moment after the pod was ready': [1, 2, 3].map((nth) =>
    plan({
      workload: at(0, deploy({ hasProbe: true })),
      triggers: [{ at: 'MODIFIED replicasets app-1', nth: nth + 1, faults: [{ kind: 'agentCrash', node: 0, downMs: 200 }] }],
    }),
  ),
  'restart counts do not go back when a container is removed': [0, 1, 2].map((index) =>
    plan({
      workload: at(0, runPod),
      faults: [
        ...strike(6000, { kind: 'containerDies', node: 0, index: 0 }, { kind: 'containerDies', node: 0, index: 1 }),
        ...strike(
          25_000,
          { kind: 'containerVanishes', node: 0, index },
          { kind: 'containerVanishes', node: 0, index: index + 1 },
        ),
      ],
    }),
  ),
  'containers stay when their engine was silent, though their probes run commands': [20_000, 60_000].map((forMs) =>
    plan({
      workload: at(0, deploy({ hasProbe: true })),
      faults: [{ atMs: 10_000, fault: { kind: 'engineHangs', node: 0, forMs } }],
      spanMs: 80_000,
    }),
  ),
  'nothing is answered from a store that was another one for a while': times(1, 12, 1).map((index) =>
    plan({
      workload: [
        ...at(1000, { ...runPod, image: index % 2 === 0 ? 'web:1' : 'task:1' }),
        ...at(3000, { do: 'wipe', forMs: 20_000 + 3000 * index }, deletePod),
      ],
      nodes: 1 + (index % 2),
      planes: 1 + (index % 3),
      spanMs: 60_000,
    }),
  ),
  'a control plane that leads again tells nodes of the services of then': times(0, 400, 40).map((noticedAfterMs) =>
    plan({
      workload: [...at(0, deploy({})), ...at(10_000, { do: 'expose', ...place }), ...at(30_000, scale(3))],
      triggers: [{ at: 'ADDED services app-1', faults: [{ kind: 'leaseLost', noticedAfterMs }] }],
    }),
  ),
  'a pod that is deleted after a restore goes, though its node had a session again before there was news': [0, 1].map((index) =>
    plan({
      workload: [
        ...at(1000, runPod),
        ...at(9000, { do: 'backUp' }),
        ...at(10_000, { do: 'expose', ...place }, { do: 'makeNamespace', namespace: 'team-1' }),
        ...at(12_000, { do: 'restore', downMs: 500, areStopped: false }),
        ...at(27_000 + 1000 * index, deletePod),
      ],
    }),
  ),
  'a pod that was bound after the backup, and elsewhere after the restore, runs once in the end': times(1, 4, 1).map((index) =>
    plan({
      workload: [
        ...at(2000, runPod),
        ...at(2500, { do: 'backUp' }),
        ...at(15_000, { do: 'restore', downMs: 500, areStopped: index % 2 === 0 }),
      ],
      faults: strike(1500, { kind: 'planePause', plane: 0, forMs: 2000 }),
      nodes: 4,
    }),
  ),
}
