// The agent talks to its Docker Engine through a proxy that does mischief, while pods come and go.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { seededRandom } from '../lib/random.ts'
import { type EngineProxy, type Mischief, startEngineProxy } from './engine-proxy.ts'
import { shellPod } from './example-image.ts'
import { type FaultBed, makeBed } from './fault-bed.ts'
import { eventually } from './machine.ts'

let bed: FaultBed
let proxy: EngineProxy
beforeAll(async () => {
  bed = await makeBed({
    name: 'proxy',
    prepare: async (m) => {
      proxy = await startEngineProxy(m.engine.host.replace('unix://', ''), join(m.folder, 'proxy.sock'))
      m.env['SKIFF_PROXY'] = proxy.host
    },
    upFlags: (m) => ['--docker-host', m.env['SKIFF_PROXY'] ?? ''],
  })
  await bed.apply(JSON.stringify(churn))
})
afterAll(async () => {
  proxy.follow()
  await bed[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
})

const labels = { app: 'churn' }
const churn = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'churn' },
  spec: {
    replicas: 2,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: JSON.parse(shellPod('x', 'exec sleep 100000')).spec },
  },
}

test.each<readonly [string, number, Mischief]>([
  ['each call takes 0.4 s longer', 1, { do: 'delay', ms: 400 }],
  ['a third of the connections break before anything was done', 0.33, { do: 'resetBefore' }],
  ['a third of the answers are lost after the effect', 0.33, { do: 'resetAfter' }],
  ['a third of the calls are refused with 500', 0.33, { do: 'refuse' }],
  ['a third of the bodies, and each stream of events, are cut off', 0.33, { do: 'cut' }],
  ['a third of the answers are no JSON', 0.33, { do: 'garble' }],
  ['a fifth of the calls hang until the fault is over', 0.2, { do: 'hang' }],
])('%s', async (fault, share, mischief) => {
  const random = seededRandom(fault.length)
  await bed.harmless({
    fault: `Docker API, pods coming and going: ${fault}`,
    mayRestart: ({ pod }) => pod.startsWith('default/churn-'),
    limitMs: 120_000,
    quietMs: 1_000,
    act: async ({ isOver }) => {
      proxy.follow(() => (random.next() < share ? mischief : undefined))
      // However few calls the agent makes meanwhile: until some have been struck.
      for (let round = 0; round < 3 || (proxy.hits <= 5 && round < 30); round++) {
        await bed.kubectl('scale', 'deployment/churn', `--replicas=${[6, 1, 4][round % 3]}`)
        await sleep(1_000)
      }
      expect(proxy.hits).toBeGreaterThan(5)
      proxy.follow()
      isOver()
    },
  })
})

test('containers that the engine does not get done with hold up no other pod', async () => {
  // More than the agent has lanes.
  const stuck = Array.from({ length: 10 }, (_, index) => `stuck-${index}`)
  await bed.harmless({
    fault: 'Docker API: the calls that make ten containers hang, while another pod is made',
    limitMs: 120_000,
    act: async ({ isOver }) => {
      proxy.follow(({ method, path }) => (method === 'POST' && path.includes('skiff_main_stuck') ? { do: 'hang' } : undefined))
      for (const name of stuck) await bed.apply(shellPod(name, 'exec sleep 100000'))
      await eventually('all lanes are stuck', async () => (proxy.hits >= 8 ? true : undefined))
      await bed.apply(shellPod('other', 'exec sleep 100000'))
      // Sooner than the deadline of the calls that hang.
      await bed.kubectl('wait', '--for=condition=Ready', 'pod/other', '--timeout=40s')
      proxy.follow()
      isOver()
    },
  })
})
