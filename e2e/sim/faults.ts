import type { Chance } from './chance.ts'
import { type EngineLie, engineLies } from './engine.ts'
import type { Size } from './size.ts'

/** What goes wrong at a time. Plain data, so that a run can be repeated without some of it. */
export type Fault =
  | { readonly kind: 'agentCrash'; readonly node: number; readonly downMs: number }
  /** At one of its next calls, before or after the effect. */
  | {
      readonly kind: 'agentCrashAtCall'
      readonly node: number
      readonly calls: number
      readonly isAfter: boolean
      readonly downMs: number
    }
  | { readonly kind: 'agentPause'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'agentStop'; readonly node: number; readonly downMs: number }
  /** The agent dies, and its checkpoint is gone, or an old one. */
  | { readonly kind: 'diskLoss'; readonly node: number; readonly isOld: boolean; readonly downMs: number }
  /** The host: all containers stop, the agent dies. */
  | { readonly kind: 'reboot'; readonly node: number; readonly downMs: number }
  | { readonly kind: 'cut'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'reset'; readonly node: number }
  | { readonly kind: 'engineErrors'; readonly node: number; readonly share: number; readonly forMs: number }
  | { readonly kind: 'engineHangs'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'eventsLost'; readonly node: number; readonly forMs: number }
  /** Answers come late, some after whoever asked has given up. */
  | { readonly kind: 'engineSlow'; readonly node: number; readonly lateMs: number; readonly forMs: number }
  | { readonly kind: 'engineLies'; readonly node: number; readonly how: EngineLie; readonly forMs: number }
  | { readonly kind: 'probesFail'; readonly node: number; readonly probe: 'check' | 'alive'; readonly forMs: number }
  /** The checkpoint's writes wait. */
  | { readonly kind: 'diskStands'; readonly node: number; readonly forMs: number }
  /** Messages between the node and whoever leads come late or twice. */
  | { readonly kind: 'messages'; readonly node: number; readonly share: number; readonly forMs: number }
  | { readonly kind: 'containerDies'; readonly node: number; readonly index: number }
  | { readonly kind: 'containerVanishes'; readonly node: number; readonly index: number }
  | { readonly kind: 'planeCrash'; readonly plane: number; readonly downMs: number }
  | {
      readonly kind: 'planeCrashAtCall'
      readonly plane: number
      readonly calls: number
      readonly isAfter: boolean
      readonly downMs: number
    }
  | { readonly kind: 'planePause'; readonly plane: number; readonly forMs: number }
  | { readonly kind: 'planeStop'; readonly plane: number; readonly downMs: number }
  /** The lease runs out though its holder lives; it notices a while later. */
  | { readonly kind: 'leaseLost'; readonly noticedAfterMs: number }
  | { readonly kind: 'storeErrors'; readonly plane: number; readonly share: number; readonly forMs: number }
  | { readonly kind: 'watchLag'; readonly plane: number; readonly lagMs: number; readonly forMs: number }
  /** What a control plane knows stays as it is, while it goes on acting. */
  | { readonly kind: 'watchStands'; readonly plane: number; readonly forMs: number }
  /** At the next deletion: the control plane's watches break before it comes through, and the past is gone. */
  | { readonly kind: 'compactAtDelete'; readonly plane: number; readonly forMs: number }
  /** Several times, while a control plane's watch lags behind. */
  | { readonly kind: 'compact'; readonly plane: number; readonly lagMs: number }
  | { readonly kind: 'apiCrash'; readonly downMs: number }
  | { readonly kind: 'clockJump'; readonly who: 'agent' | 'plane'; readonly index: number; readonly offsetMs: number }

export interface TimedFault {
  readonly atMs: number
  readonly fault: Fault
}

export function inventFaults(chance: Chance, { nodes, planes, spanMs, mostFaults }: Size): readonly TimedFault[] {
  const count = chance.int(1, mostFaults)
  // A seed has a theme: a few kinds of fault that come often find more than all kinds that come once.
  const themes = Array.from({ length: chance.int(1, 5) }, () => chance.pick(faultKinds))
  return Array.from({ length: count }, () => chance.int(0, spanMs))
    .sort((a, b) => a - b)
    .map((atMs) => ({
      atMs,
      fault: invent(chance, chance.is(0.8) ? chance.pick(themes) : chance.pick(faultKinds), { nodes, planes }),
    }))
}

export const faultKinds = [
  'agentCrash',
  'agentCrashAtCall',
  'agentPause',
  'agentStop',
  'diskLoss',
  'reboot',
  'cut',
  'reset',
  'engineErrors',
  'engineHangs',
  'eventsLost',
  'engineSlow',
  'engineLies',
  'probesFail',
  'diskStands',
  'messages',
  'containerDies',
  'containerVanishes',
  'planeCrash',
  'planeCrashAtCall',
  'planePause',
  'planeStop',
  'leaseLost',
  'storeErrors',
  'watchLag',
  'watchStands',
  'compactAtDelete',
  'compact',
  'apiCrash',
  'clockJump',
] as const satisfies readonly Fault['kind'][]

const hourMs = 3_600_000

function invent(chance: Chance, kind: Fault['kind'], size: Pick<Size, 'nodes' | 'planes'>): Fault {
  const node = chance.int(0, size.nodes - 1)
  const plane = chance.int(0, size.planes - 1)
  const downMs = chance.pick([200, 2000, 10_000, 60_000])
  const forMs = chance.pick([1000, 8000, 25_000, 60_000, 120_000])
  const calls = chance.int(1, 60)
  const isAfter = chance.is(0.5)
  const index = chance.int(0, 20)
  switch (kind) {
    case 'agentCrash':
    case 'agentStop':
    case 'reboot':
      return { kind, node, downMs }
    case 'agentCrashAtCall':
      return { kind, node, calls, isAfter, downMs }
    case 'agentPause':
    case 'cut':
    case 'eventsLost':
    case 'engineHangs':
      return { kind, node, forMs }
    case 'diskLoss':
      return { kind, node, downMs, isOld: chance.is(0.5) }
    case 'reset':
      return { kind, node }
    case 'engineErrors':
      return { kind, node, forMs, share: chance.pick([0.05, 0.3]) }
    case 'diskStands':
      return { kind, node, forMs }
    case 'engineSlow':
      return { kind, node, forMs, lateMs: chance.pick([2000, 8000, 30_000]) }
    case 'engineLies':
      return { kind, node, forMs, how: chance.pick(engineLies) }
    case 'probesFail':
      return { kind, node, forMs, probe: chance.pick(['check', 'alive']) }
    case 'messages':
      return { kind, node, forMs, share: chance.pick([0.1, 0.5]) }
    case 'watchStands':
    case 'compactAtDelete':
      return { kind, plane, forMs }
    case 'containerDies':
    case 'containerVanishes':
      return { kind, node, index }
    case 'planeCrash':
    case 'planeStop':
      return { kind, plane, downMs }
    case 'planeCrashAtCall':
      return { kind, plane, calls, isAfter, downMs }
    case 'planePause':
      return { kind, plane, forMs }
    case 'leaseLost':
      return { kind, noticedAfterMs: chance.pick([0, 500, 3000, 20_000]) }
    case 'storeErrors':
      return { kind, plane, forMs, share: chance.pick([0.05, 0.3]) }
    case 'watchLag':
      return { kind, plane, forMs, lagMs: chance.pick([200, 2000, 4000]) }
    case 'compact':
      return { kind, plane, lagMs: chance.pick([0, 1000, 4000]) }
    case 'apiCrash':
      return { kind, downMs }
    case 'clockJump':
      return { kind, who: chance.pick(['agent', 'plane']), index: chance.int(0, 3), offsetMs: chance.pick([-hourMs, hourMs, 0]) }
  }
}
