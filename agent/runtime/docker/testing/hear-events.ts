import type { Runtime } from '../../runtime.ts'

/** Reads the runtime's events, from when they are heard until disposed of. */
export async function hearEvents(runtime: Pick<Runtime, 'events'>): Promise<AsyncDisposable> {
  const stop = new AbortController()
  const heard = Promise.withResolvers<void>()
  const reading = (async () => {
    for await (const _ of runtime.events({ signal: stop.signal })) heard.resolve()
  })().catch(heard.reject)
  await heard.promise
  return {
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('enough'))
      await reading
    },
  }
}
