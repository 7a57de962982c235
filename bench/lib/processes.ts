import { readdirSync, readFileSync } from 'node:fs'

export interface Usage {
  /** `controlplane`, `agent`, `etcd`; `dockerd`, `containerd` of the machine's engine. */
  readonly program: string
  readonly isSkiff: boolean
  readonly pid: number
  readonly rssMiB: number
  /** What is shared with other processes, counted in parts. */
  readonly pssMiB: number
  /** Processor time since it started, in milliseconds. */
  readonly cpuMs: number
}

const programs = [
  { name: 'controlplane', pattern: /\/controlplane\.mjs\0run/ },
  { name: 'agent', pattern: /\/agent\.mjs\0run/ },
  { name: 'etcd', pattern: /^[^\0]*\/etcd\0/ },
  { name: 'dockerd', pattern: /^[^\0]*dockerd\0/ },
  { name: 'containerd', pattern: /^[^\0]*containerd\0/ },
] as const
/** USER_HZ, which is the same on all of Linux' architectures that Node.js runs on. */
const msPerTick = 10

/** What the programs whose arguments or environment name the folder use now. */
export function usageOf(folder: string): readonly Usage[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => usageOfPid(Number(pid), folder) ?? [])
    .sort((a, b) => (a.program < b.program ? -1 : 1))
}

function usageOfPid(pid: number, folder: string): Usage | undefined {
  const [command, environment, stat, memory] = ['cmdline', 'environ', 'stat', 'smaps_rollup'].map((name) =>
    read(`/proc/${pid}/${name}`),
  )
  if (command === undefined || environment === undefined || stat === undefined || memory === undefined) return undefined
  const program = programs.find(({ pattern }) => pattern.test(command))
  if (program === undefined || !`${command}${environment}`.includes(folder)) return undefined
  const mib = (what: RegExp): number => Number(what.exec(memory)?.[1] ?? Number.NaN) / 1024
  return {
    program: program.name,
    isSkiff: !['dockerd', 'containerd'].includes(program.name),
    pid,
    rssMiB: mib(/^Rss:\s+(\d+)/m),
    pssMiB: mib(/^Pss:\s+(\d+)/m),
    cpuMs: cpuMsIn(stat),
  }
}

/** Processor time that a process has used since it started; undefined when it has ended. */
export function cpuMsOf(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`)
  return stat === undefined ? undefined : cpuMsIn(stat)
}

/** Time that the main thread of a process was ready to run and another one had the processor; NaN where it is not counted. */
export function waitedMsOf(pid: number): number {
  return Number(read(`/proc/${pid}/task/${pid}/schedstat`)?.split(' ')[1] ?? Number.NaN) / 1e6
}

function cpuMsIn(stat: string): number {
  // Behind the name in brackets, which may hold anything: user time is the 12th field, system time the 13th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * msPerTick
}

/** Undefined when the process has ended in the meantime. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
