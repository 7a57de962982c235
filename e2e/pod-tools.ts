import process from 'node:process'
import type { RunResult } from '../deploy/steps.ts'
import { eventually, type Machine, ok } from './machine.ts'

export interface PodTools {
  /** Output of a command that must go well. */
  ctl(...args: readonly string[]): Promise<string>
  apply(manifest: string, ...args: readonly string[]): Promise<string>
  /** A failure is no error. */
  tryApply(manifest: string, ...args: readonly string[]): Promise<RunResult>
  path(pod: string, jsonPath: string): Promise<string>
  /** The pod's row of the table. */
  statusOf(pod: string): Promise<string>
  /** Waits until the field reads like that, and gives it. */
  until(pod: string, jsonPath: string, expected: RegExp, limitMs?: number): Promise<string>
}

const ctlProgram = new URL('../dist/programs/ctl.mjs', import.meta.url).pathname

/** What tests of pods do again and again. The machine is made later than this. */
export function podTools(machine: () => Machine): PodTools {
  const tools: PodTools = {
    ctl: async (...args) => ok(await machine().ctl(...args)),
    tryApply: async (manifest, ...args) =>
      await machine().run(process.execPath, [ctlProgram, 'apply', '-f', '-', ...args], { input: manifest }),
    apply: async (manifest, ...args) => ok(await tools.tryApply(manifest, ...args)),
    path: async (pod, jsonPath) => await tools.ctl('get', 'pod', pod, '-o', `jsonpath={${jsonPath}}`),
    statusOf: async (pod) => await tools.ctl('get', 'pod', pod, '--no-headers'),
    until: async (pod, jsonPath, expected, limitMs) =>
      await eventually(
        `${pod} ${jsonPath} is ${expected}`,
        async (tell) => {
          const value = await tools.path(pod, jsonPath)
          tell(`${value}\n${await tools.statusOf(pod)}`)
          return expected.test(value) ? value : undefined
        },
        limitMs,
      ),
  }
  return tools
}
