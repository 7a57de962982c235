import type { Amounts } from './resources.ts'

/** Pods that a node takes that does not say how many (Kubernetes: the kubelet's default). */
const podsPerNode = 110

const freePods = 0
const freeCpu = 1
const freeMemory = 2
const totals = { cpu: 3, memory: 4 } as const
const scores = { cpu: 5, memory: 6 } as const
const places = 7

/** What a node's room is made of. */
export interface Load {
  readonly allocatable: Amounts
  readonly requested: Amounts
  readonly scored: { readonly cpu: number; readonly memory: number }
  readonly pods: { readonly size: number }
}

/**
 * A node's amounts of what nearly every pod asks for, `cpu` in milli-CPUs and `memory` in bytes. They lie in one piece of
 * memory because each pod asks hundreds of nodes: looking them up in the node's maps took a tenth of all that the
 * control plane does for a binding with 5,000 nodes, most of it waiting for memory.
 */
export class Room {
  readonly #amounts = new Float64Array(places)

  /** Takes everything over anew; nothing is added up here, so that nothing can drift. */
  measure({ allocatable, requested, scored, pods }: Load): void {
    const free = (name: string): number => (allocatable.get(name) ?? 0) - (requested.get(name) ?? 0)
    const amounts = this.#amounts
    amounts[freePods] = (allocatable.get('pods') ?? podsPerNode) - pods.size
    amounts[freeCpu] = free('cpu')
    amounts[freeMemory] = free('memory')
    amounts[totals.cpu] = allocatable.get('cpu') ?? 0
    amounts[totals.memory] = allocatable.get('memory') ?? 0
    amounts[scores.cpu] = scored.cpu
    amounts[scores.memory] = scored.memory
  }

  get isFullOfPods(): boolean {
    return this.#of(freePods) < 1
  }

  /** Whether one more pod that asks for this much fits, as far as pods, processor and memory go. */
  fits({ cpu, memory }: { readonly cpu: number; readonly memory: number }): boolean {
    // A node that has given away too much still takes who asks for nothing.
    return !this.isFullOfPods && (cpu <= 0 || cpu <= this.#of(freeCpu)) && (memory <= 0 || memory <= this.#of(freeMemory))
  }

  /** Share of a resource that would be in use with a pod that counts as `amount`, 0 to 1. For scores only. */
  usedShare(resource: 'cpu' | 'memory', amount: number): number {
    const total = this.#of(totals[resource])
    return total === 0 ? 1 : Math.min(1, (this.#of(scores[resource]) + amount) / total)
  }

  #of(place: number): number {
    return this.#amounts[place] ?? 0
  }
}
