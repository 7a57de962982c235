import process from 'node:process'
import { jsonLog, type LogLevel } from '../lib/log.ts'
import { createMetrics } from '../lib/metrics.ts'
import { OptionError, optionsHelp, readOptions } from '../lib/options.ts'
import { processClock, rootSignal } from '../lib/process.ts'
import { systemRandom } from '../lib/random.ts'
import { purgeAgent, runAgent } from './agent.ts'
import { failpointsOf } from './failpoints.ts'
import { options } from './options.ts'

const help = `Skiff's agent: one on each Docker host.

agent run [flags]     runs it until SIGTERM; containers go on running
agent purge [flags]   removes all containers, volumes, links and rules that it made

${optionsHelp(options)}
`

const [command = 'help', ...argv] = process.argv.slice(2)
try {
  if (command === 'run' || command === 'purge') {
    const given = readOptions('SKIFF_AGENT', options, { argv, env: process.env })
    const log = jsonLog(command === 'purge' ? 'warn' : (given.logLevel as LogLevel))
    const clock = processClock()
    const deps = { clock, random: systemRandom, log, metrics: createMetrics('skiff_', { process: true }) }
    const signal = rootSignal(log)
    if (command === 'purge') await purgeAgent(given, deps, (line) => void process.stdout.write(`${line}\n`), signal)
    else {
      log.info('starting', { node: given.nodeName, dataDir: given.dataDir, pid: process.pid })
      await runAgent(given, { ...deps, failpoints: failpointsOf(process.env, clock) }, signal)
      log.info('stopped')
    }
  } else {
    process.stdout.write(help)
    process.exitCode = command === 'help' || command === '--help' ? 0 : 2
  }
} catch (err) {
  process.stderr.write(
    `agent: ${err instanceof OptionError ? err.message : err instanceof Error ? (err.stack ?? err.message) : String(err)}\n`,
  )
  process.exitCode = 1
}
