// Places where a test makes the agent die, as if the machine's power went at that moment. Nothing of this is in the way
// of an agent without SKIFF_DEBUG_CHECKS: its parts are then not wrapped at all.
import { readFileSync, rmSync } from 'node:fs'
import process from 'node:process'
import type { Clock } from '../lib/clock.ts'
import { OptionError } from '../lib/options.ts'
import type { CheckpointFiles } from './desired/checkpoint.ts'
import type { RunCommand } from './host/command.ts'
import type { PodVolumes } from './pods/deps.ts'
import type { Runtime } from './runtime/runtime.ts'
import type { AgentLine, Link } from './session/channel.ts'
import type { NodeCertificateOptions } from './session/node-certificate.ts'

/** All of them. */
export const failpoints = [
  /** A set or an increment has come, and nothing was done with it. */
  'assignment/received',
  /** The files of the checkpoint are written, its position is not. */
  'checkpoint/files-written',
  'checkpoint/written',
  /** Taken over, and the control plane does not know. */
  'assignment/unconfirmed',
  /** Some volumes of a pod are written, the next is not. */
  'volumes/half-written',
  'image/looked-up',
  'pull/begun',
  'sandbox/created',
  'sandbox/started',
  'sandbox/taken',
  /** A command of those that connect a pod, or write the packet filter, has run. */
  'command/run',
  'container/created',
  'container/started',
  'status/sent',
  /** The receipt of a status has come, and was not noted. */
  'status/receipt',
  'exec/open',
  'engine/listed',
  /** SIGTERM is sent, the container has not ended. */
  'container/stopping',
  'container/stopped',
  'container/removed',
  'volumes/cleaned',
  /** The last status of a pod, by which the control plane may forget it. */
  'end/sent',
  /** A certificate has come, and was not written. */
  'certificate/received',
] as const
export type Failpoint = (typeof failpoints)[number]

/** Long enough for SIGTERM to be under way, and shorter than any grace of a test. */
const stoppingMs = 150

/** What an agent's parts are passed through. */
export type Wrappers = Pick<Failpoints, 'runtime' | 'checkpoint' | 'volumes' | 'command' | 'link' | 'ask'>

/** All as it is. */
const asItIs: Wrappers = {
  runtime: (of) => of,
  checkpoint: (of) => of,
  volumes: (of) => of,
  command: (of) => of,
  link: (of) => of,
  ask: (of) => of,
}

/** As it is, unless a test wants it otherwise. */
export function failpointsOf(env: NodeJS.ProcessEnv, clock: Clock): Wrappers {
  const file = env['SKIFF_FAILPOINTS']
  if (file === undefined || file === '') return asItIs
  if (env['SKIFF_DEBUG_CHECKS'] !== '1') throw new OptionError('SKIFF_FAILPOINTS is for tests, with SKIFF_DEBUG_CHECKS=1 only')
  return new Failpoints(file, clock)
}

/**
 * Kills this process (SIGKILL) when it passes the place that the file names: `container/created`, or
 * `command/run 3` for the third time since it was named. The file is gone then, so that the next agent lives.
 */
class Failpoints {
  readonly #file: string
  readonly #clock: Clock
  #armed = ''
  #passed = 0

  constructor(file: string, clock: Clock) {
    this.#file = file
    this.#clock = clock
  }

  pass(at: Failpoint): void {
    const text = readArmed(this.#file)
    if (text !== this.#armed) this.#passed = 0
    this.#armed = text
    const [name, count = '1'] = text.split(' ')
    if (name !== at || ++this.#passed < Number(count)) return
    rmSync(this.#file)
    process.kill(process.pid, 'SIGKILL')
  }

  runtime(of: Runtime): Runtime {
    const sandboxes = new Set<string>()
    const pass = (at: Failpoint): void => this.pass(at)
    return withOwn(of, {
      create: async (spec, opts) => {
        const id = await of.create(spec, opts)
        if (spec.identity.role === 'sandbox') sandboxes.add(id)
        pass(sandboxes.has(id) ? 'sandbox/created' : 'container/created')
        return id
      },
      start: async (id, opts) => {
        await of.start(id, opts)
        pass(sandboxes.has(id) ? 'sandbox/started' : 'container/started')
      },
      adopt: async (spare, identity, opts) => {
        const isTaken = await of.adopt(spare, identity, opts)
        pass('sandbox/taken')
        return isTaken
      },
      stop: async (id, graceMs, opts) => {
        using _ = this.#clock.after(stoppingMs, () => pass('container/stopping'))
        await of.stop(id, graceMs, opts)
        pass('container/stopped')
      },
      remove: async (id, opts) => {
        await of.remove(id, opts)
        pass('container/removed')
      },
      image: async (ref, opts) => {
        const image = await of.image(ref, opts)
        pass('image/looked-up')
        return image
      },
      pull: async (ref, auth, opts) => {
        const pulled = of.pull(ref, auth, opts)
        pass('pull/begun')
        await pulled
      },
      list: async (opts) => {
        const states = await of.list(opts)
        pass('engine/listed')
        return states
      },
      async *exec(id, options, input, opts) {
        for await (const output of of.exec(id, options, input, opts)) {
          pass('exec/open')
          yield output
        }
      },
    })
  }

  checkpoint(of: CheckpointFiles): CheckpointFiles {
    return withOwn(of, {
      write: async (name, text) => {
        if (name === 'position') this.pass('checkpoint/files-written')
        await of.write(name, text)
        if (name === 'position') this.pass('checkpoint/written')
      },
    })
  }

  volumes(of: PodVolumes): PodVolumes {
    return withOwn(of, {
      prepare: async (pod, desired, opts) => {
        const secret = (namespace: string, name: string): ReturnType<typeof desired.secret> => {
          this.pass('volumes/half-written')
          return desired.secret(namespace, name)
        }
        return await of.prepare(pod, withOwn(desired, { secret }), opts)
      },
      cleanUp: async (podUid, opts) => {
        await of.cleanUp(podUid, opts)
        this.pass('volumes/cleaned')
      },
    })
  }

  command(of: RunCommand): RunCommand {
    return async (command, opts) => {
      const result = await of(command, opts)
      this.pass('command/run')
      return result
    }
  }

  link(of: Link): Link {
    return withOwn(of, { session: () => this.#line(of.session()) })
  }

  #line(of: AgentLine): AgentLine {
    const next: AgentLine['messages']['next'] = async () => {
      const got = await of.messages.next()
      const what = got.done === true ? undefined : got.value.message?.$case
      if (what === 'assignments') this.pass('assignment/received')
      if (what === 'podStatusReceipt') this.pass('status/receipt')
      return got
    }
    const send: AgentLine['send'] = async ({ message }, opts) => {
      if (message?.$case === 'applied') this.pass('assignment/unconfirmed')
      await of.send({ message }, opts)
      if (message?.$case === 'podStatus') this.pass(message.value.terminated ? 'end/sent' : 'status/sent')
    }
    return withOwn(of, { messages: withOwn(of.messages, { next }), send })
  }

  ask(of: NodeCertificateOptions['ask']): NodeCertificateOptions['ask'] {
    return async (address, tls, csrPem, opts) => {
      const certificate = await of(address, tls, csrPem, opts)
      this.pass('certificate/received')
      return certificate
    }
  }
}

/** The same with some methods replaced; the others work as they did, also on private fields. */
function withOwn<T extends object>(of: T, own: Partial<T>): T {
  return new Proxy(of, {
    get: (target, key) => {
      const replaced: unknown = Reflect.get(own, key)
      if (replaced !== undefined) return replaced
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function readArmed(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return '' // Not armed.
  }
}
