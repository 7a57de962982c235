import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the kernel shows control groups and processes, for all that systemd or Docker set up. */
const kernelRoots = { groups: '/sys/fs/cgroup', processes: '/proc' } as const

/**
 * Finds a container's first process by its control group, whose place differs from another container's by the id alone:
 * the kernel answers at once, where the engine takes a millisecond or two. What is found is a guess for whoever can do
 * without: nothing is found before a container was learnt from, or where control groups are mounted otherwise.
 */
export class ContainerProcesses {
  readonly #roots: Readonly<Record<keyof typeof kernelRoots, string>>
  #place: ((containerId: string) => string) | undefined

  constructor(roots: Readonly<Record<keyof typeof kernelRoots, string>> = kernelRoots) {
    this.#roots = roots
  }

  /** Learns from a running container of which the first process is known. */
  learn({ containerId, pid }: { readonly containerId: string; readonly pid: number }): void {
    if (this.#place !== undefined) return
    for (const line of linesOf(join(this.#roots.processes, String(pid), 'cgroup'))) {
      // `4:memory:/docker/…`, and of the second version `0::/docker/…`.
      const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
      const [before, after] = path.split(containerId)
      if (before === undefined || after === undefined) continue
      const place = (id: string): string =>
        join(this.#roots.groups, controllers.replace('name=', ''), before + id + after, 'cgroup.procs')
      if (!linesOf(place(containerId)).includes(String(pid))) continue
      this.#place = place
      return
    }
  }

  /** The only process of a container that was started a moment ago. */
  firstOf(containerId: string): number | undefined {
    const processes = this.#place === undefined ? [] : linesOf(this.#place(containerId))
    const pid = processes.length === 1 ? Number(processes[0]) : 0
    return pid > 0 ? pid : undefined
  }
}

/** Synchronously: the kernel answers from memory, in less time than a way through the pool of threads takes. */
function linesOf(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
  } catch {
    return [] // The process has ended, or there is no such group.
  }
}
