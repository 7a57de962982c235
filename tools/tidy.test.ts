import { expect, test } from 'vitest'
import { importsOf } from './imports.ts'
import { sourceFiles, tidyRules, violations } from './tidy.ts'

test.each(Object.keys(tidyRules) as (keyof typeof tidyRules)[])('the source tree keeps the rule "%s"', (name) => {
  expect(violations(tidyRules[name])).toEqual([])
})

test('the source tree is found', () => {
  expect(sourceFiles()).toContain('lib/clock.ts')
})

const planted = [
  ['lib/a.ts', "import { x } from '../api/meta/status.ts'"],
  ['api/kinds/pod.ts', "import { readFileSync } from 'node:fs'"],
  ['api/kinds/pod.ts', "import { sleep } from '../../lib/async.ts'"],
  ['client/a.ts', "import type { Store } from '../controlplane/store/store.ts'"],
  ['controlplane/controllers/deployment/controller.ts', "import { x } from '../../store/store.ts'"],
  ['controlplane/scheduler/queue.ts', "import { x } from '../controllers/registry.ts'"],
  ['controlplane/registry/registry.ts', "import { x } from '../store/etcd.ts'"],
  ['controlplane/apiserver/routes.ts', "import { x } from '../store/store.ts'"],
  ['controlplane/gateway/session.ts', "import { x } from '../../agent/agent.ts'"],
  ['agent/pods/worker.ts', "import { x } from '../runtime/docker/docker.ts'"],
  ['agent/agent.ts', "import { x } from '../client/client.ts'"],
  ['ctl/main.ts', "import { x } from '../controlplane/controlplane.ts'"],
  ['ctl/main.ts', "import { x } from '../e2e/cluster.ts'"],
  ['ctl/main.ts', "const x = await import('../tools/tidy.ts')"],
  ['ctl/main.ts', "export { x } from '../agent/agent.ts'"],
  ['ctl/main.ts', "import Docker from 'dockerode'"],
  ['controlplane/gateway/a.ts', "import { Etcd3 } from 'etcd3'"],
] as const

test.each(planted)('in %s the import is refused: %s', (file, text) => {
  expect(tidyRules.imports(file, text)).toHaveLength(1)
})

const allowed = [
  ['lib/a.ts', "import { x } from './clock.ts'"],
  ['api/kinds/pod.ts', "import { must } from '../../lib/assert.ts'"],
  ['api/kinds/pod.ts', "import { Type } from 'typebox'"],
  ['controlplane/registry/registry.ts', "import type { Store } from '../store/store.ts'"],
  ['controlplane/controlplane.ts', "import { x } from './store/etcd.ts'"],
  ['controlplane/store/etcd.ts', "import { Etcd3 } from 'etcd3'"],
  ['controlplane/scheduler/queue.test.ts', "import { x } from '../testing/cluster.ts'"],
  ['agent/pods/worker.ts', "import type { Runtime } from '../runtime/runtime.ts'"],
  ['agent/runtime/docker/docker.ts', "import Docker from 'dockerode'"],
  ['agent/agent.ts', "import { x } from './runtime/docker/docker.ts'"],
  ['ctl/commands/get.ts', "import { x } from '../printers/table.ts'"],
  ['e2e/cluster.ts', "import { ensureDocker } from '../deploy/docker.ts'"],
] as const

test.each(allowed)('in %s the import is allowed: %s', (file, text) => {
  expect(tidyRules.imports(file, text)).toEqual([])
})

test('imports over several lines, without names and re-exports are all seen', () => {
  const text =
    "import {\n  a,\n  type b,\n} from './a.ts'\nimport './b.ts'\nexport * from './c.ts'\nconst d = await import('./d.ts')\n"
  expect(importsOf(text).map(({ specifier }) => specifier)).toEqual(['./a.ts', './b.ts', './c.ts', './d.ts'])
})

test('a file over its limit is refused, a test may be longer', () => {
  const text = 'const x = 1\n'.repeat(401)
  expect(tidyRules.length('lib/a.ts', text)).toHaveLength(1)
  expect(tidyRules.length('lib/a.test.ts', text)).toEqual([])
  expect(tidyRules.length('lib/a.test.ts', text.repeat(2))).toHaveLength(1)
})

test('a default export is refused outside configuration files', () => {
  expect(tidyRules.defaultExport('lib/a.ts', 'export default 1\n')).toHaveLength(1)
  expect(tidyRules.defaultExport('vitest.config.ts', 'export default 1\n')).toEqual([])
})

test('a to-do needs an issue number', () => {
  const mark = 'TO' + 'DO'
  expect(tidyRules.todo('lib/a.ts', `// ${mark}: later\n`)).toHaveLength(1)
  expect(tidyRules.todo('lib/a.ts', `// ${mark} #12: later\n`)).toEqual([])
})

test('the real clock is refused outside its own file', () => {
  expect(tidyRules.timer('agent/a.ts', 'setTimeout(f, 1)\n')).toHaveLength(1)
  expect(tidyRules.timer('agent/a.ts', 'const now = Date.now()\n')).toHaveLength(1)
  expect(tidyRules.timer('api/a.ts', 'const now = new Date()\n')).toHaveLength(1)
  expect(tidyRules.timer('api/a.ts', 'const text = new Date(ms).toISOString()\n')).toEqual([])
  expect(tidyRules.timer('lib/clock.ts', 'setTimeout(f, 1)\n')).toEqual([])
  expect(tidyRules.timer('agent/a.ts', '// setTimeout(f, 1) would be wrong\n')).toEqual([])
})
