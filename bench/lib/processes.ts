import { readdirSync, readFileSync } from 'node:fs'

export interface Usage {
  /** `controlplane`, `agent`, `etcd`. */
  readonly program: string
  readonly pid: number
  readonly rssMiB: number
  /** Processor time since it started, in milliseconds. */
  readonly cpuMs: number
}

const programs = [
  { name: 'controlplane', pattern: /\/controlplane\.mjs\0run/ },
  { name: 'agent', pattern: /\/agent\.mjs\0run/ },
  { name: 'etcd', pattern: /^[^\0]*\/etcd\0/ },
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
  const [command, environment, stat, status] = ['cmdline', 'environ', 'stat', 'status'].map((name) =>
    read(`/proc/${pid}/${name}`),
  )
  if (command === undefined || environment === undefined || stat === undefined || status === undefined) return undefined
  const program = programs.find(({ pattern }) => pattern.test(command))
  if (program === undefined || !`${command}${environment}`.includes(folder)) return undefined
  const rssKiB = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN)
  return { program: program.name, pid, rssMiB: rssKiB / 1024, cpuMs: cpuMsIn(stat) }
}

/** Processor time that a process has used since it started; undefined when it has ended. */
export function cpuMsOf(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`)
  return stat === undefined ? undefined : cpuMsIn(stat)
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
