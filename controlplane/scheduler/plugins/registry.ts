import { balancedAllocation } from './balanced-allocation.ts'
import { imageLocality } from './image-locality.ts'
import { interPodAffinity } from './inter-pod-affinity.ts'
import { leastAllocated } from './least-allocated.ts'
import { nodeAffinity } from './node-affinity.ts'
import { nodeName } from './node-name.ts'
import { nodePorts } from './node-ports.ts'
import { nodeResourcesFit } from './node-resources-fit.ts'
import { nodeUnschedulable } from './node-unschedulable.ts'
import type { Plugin } from './plugin.ts'
import { spreadOwner } from './spread-owner.ts'
import { taintToleration } from './taint-toleration.ts'

/** The one list of plugins. Filters run in this order; the first that turns a node away explains it. */
export const plugins: readonly Plugin[] = [
  nodeUnschedulable,
  nodeName,
  taintToleration,
  nodeAffinity,
  nodePorts,
  nodeResourcesFit,
  interPodAffinity,
  leastAllocated,
  balancedAllocation,
  spreadOwner,
  imageLocality,
]
