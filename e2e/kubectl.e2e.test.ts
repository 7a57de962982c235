import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { prepareImage } from './example-image.ts'
import { createMachine, eventually, type Machine, ok, root } from './machine.ts'

let m: Machine
beforeAll(async () => {
  m = await createMachine('kubectl')
  await prepareImage(m)
  ok(await m.ctl('up'))
})
afterAll(async () => {
  await m[Symbol.asyncDispose]()
})

const container = (...command: readonly string[]) => ({
  name: 'main',
  image: 'skiff/hello:1',
  imagePullPolicy: 'IfNotPresent',
  ...(command.length === 0 ? {} : { command }),
})
const k = async (...args: readonly string[]) => ok(await m.kubectl(...args))
const manifests = join(root, 'manifests')
const manifest = join(manifests, 'hello.yaml')

test('apply creates, changes and leaves alone', async () => {
  const created = await k('apply', '-f', manifest)
  expect(created).toContain('namespace/hello created')
  expect(created).toContain('deployment.apps/hello created')
  expect(await k('apply', '-f', manifest)).toContain('deployment.apps/hello unchanged')
  const changed = join(m.folder, 'changed.yaml')
  writeFileSync(changed, readFileSync(manifest, 'utf8').replace('replicas: 3', 'replicas: 2'))
  expect(await k('apply', '-f', changed)).toContain('deployment.apps/hello configured')
  expect(await k('rollout', 'status', 'deployment/hello', '-n', 'hello', '--timeout=60s')).toContain('successfully rolled out')
  expect(await k('apply', '-f', manifest)).toContain('deployment.apps/hello configured')
  await k('wait', '-n', 'hello', '--for=condition=Available', 'deployment/hello', '--timeout=60s')
})

test('get prints tables, wide, by name, as YAML and across namespaces', async () => {
  await k('rollout', 'status', 'deployment/hello', '-n', 'hello', '--timeout=60s')
  expect(await k('get', 'pods', '-n', 'hello')).toMatch(
    /^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\nhello-\S+\s+1\/1\s+Running\s+0\s+\d+s/,
  )
  expect(await k('get', 'pods', '-n', 'hello', '-o', 'wide')).toMatch(/NOMINATED NODE\s+READINESS GATES/)
  expect(await k('get', 'pods', '-A')).toMatch(/^NAMESPACE\s+NAME/)
  expect(await k('get', 'deploy', '-n', 'hello')).toMatch(/hello\s+3\/3\s+3\s+3/)
  expect(await k('get', 'all', '-n', 'hello')).toMatch(
    /pod\/hello[\s\S]*service\/hello[\s\S]*deployment.apps\/hello[\s\S]*replicaset.apps\/hello/,
  )
  expect(await k('get', 'svc', '-n', 'hello', 'hello', '-o', 'jsonpath={.spec.ports[0].nodePort}')).toBe('30080')
  expect(await k('get', 'nodes')).toMatch(/Ready/)
  expect(await k('get', 'cm', 'greeting', '-n', 'hello', '-o', 'yaml')).toContain('text: Hello from Skiff')
  expect(await k('get', 'endpointslices', '-n', 'hello')).toMatch(/IPv4\s+8080\s+10\.42\./)
})

test('get -w shows changes as they happen', async () => {
  const child = m.spawn('kubectl', ['get', 'deploy', 'hello', '-n', 'hello', '-w'])
  let seen = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    seen += chunk.toString()
  })
  await eventually('the first line', async (tell) => {
    tell(seen)
    return seen.includes('3/3') ? true : undefined
  })
  await k('scale', 'deployment/hello', '-n', 'hello', '--replicas=4')
  await eventually('the watch shows 4/4', async (tell) => {
    tell(seen)
    return seen.includes('4/4') ? true : undefined
  })
  child.kill()
  await k('scale', 'deployment/hello', '-n', 'hello', '--replicas=3')
})

test('describe tells conditions and events', async () => {
  const text = await k('describe', 'deployment', 'hello', '-n', 'hello')
  expect(text).toMatch(/Replicas:\s+3 desired/)
  expect(text).toContain('ScalingReplicaSet')
  const pod = await k('describe', 'pods', '-n', 'hello')
  expect(pod).toMatch(/Normal\s+Scheduled/)
  expect(pod).toMatch(/Normal\s+Started/)
  expect(await k('describe', 'node')).toMatch(/Ready\s+True/)
  expect(await k('describe', 'svc', 'hello', '-n', 'hello')).toMatch(/Endpoints:\s+10\.42\./)
})

test('logs and exec reach the container', async () => {
  const pod = (await k('get', 'pods', '-n', 'hello', '-o', 'jsonpath={.items[0].metadata.name}')).trim()
  expect(await k('logs', '-n', 'hello', pod)).toContain('listening on port 8080')
  expect(await k('exec', '-n', 'hello', pod, '--', 'hostname')).toBe(`${pod}\n`)
  const failed = await m.kubectl('exec', '-n', 'hello', pod, '--', 'sh', '-c', 'echo bad >&2; exit 7')
  expect(failed.code).toBe(7)
  expect(failed.stderr).toContain('bad')
  const echoed = await m.run('kubectl', ['exec', '-i', '-n', 'hello', pod, '--', 'cat'], { input: 'some text\n' })
  expect(echoed.stdout).toBe('some text\n')
  const tty = await m.run('script', ['-qec', `kubectl exec -it -n hello ${pod} -- sh -c 'tty && exit 3'`, '/dev/null'])
  expect(tty.stdout).toContain('/dev/pts/')
  expect(tty.code).toBe(3)
})

test('logs -f follows', async () => {
  await k(
    'run',
    'ticker',
    '--image=skiff/hello:1',
    '--image-pull-policy=IfNotPresent',
    '--command',
    '--',
    'sh',
    '-c',
    'for i in 1 2 3; do echo tick $i; sleep 1; done; sleep 600',
  )
  await k('wait', '--for=condition=Ready', 'pod/ticker', '--timeout=60s')
  const child = m.spawn('kubectl', ['logs', '-f', 'ticker'])
  let seen = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    seen += chunk.toString()
  })
  await eventually('the third tick', async (tell) => {
    tell(seen)
    return seen.includes('tick 3') ? true : undefined
  })
  child.kill()
  expect(await k('logs', 'ticker', '--tail=1')).toBe('tick 3\n')
  await k('delete', 'pod', 'ticker', '--grace-period=1')
})

test('create sends protobuf and works', async () => {
  expect(await k('create', 'namespace', 'made')).toContain('namespace/made created')
  expect(await k('create', 'configmap', 'c', '-n', 'made', '--from-literal=a=1')).toContain('configmap/c created')
  expect(await k('create', 'secret', 'generic', 's', '-n', 'made', '--from-literal=p=word')).toContain('secret/s created')
  expect(await k('get', 'secret', 's', '-n', 'made', '-o', 'jsonpath={.data.p}')).toBe(Buffer.from('word').toString('base64'))
  expect(await k('create', 'deployment', 'd', '-n', 'made', '--image=skiff/hello:1', '--replicas=2')).toContain('created')
  await k('rollout', 'status', 'deployment/d', '-n', 'made', '--timeout=60s')
  expect(await k('create', 'service', 'clusterip', 'd', '-n', 'made', '--tcp=80:8080')).toContain('created')
  expect(await k('delete', 'namespace', 'made', '--timeout=60s')).toContain('deleted')
  expect((await m.kubectl('get', 'namespace', 'made')).stderr).toContain('NotFound')
})

test('label, annotate, patch, edit and set change objects', async () => {
  expect(await k('label', 'deployment/hello', '-n', 'hello', 'tier=front')).toContain('labeled')
  expect(await k('annotate', 'deployment/hello', '-n', 'hello', 'note=yes')).toContain('annotated')
  expect(await k('get', 'deploy', '-n', 'hello', '-l', 'tier=front', '-o', 'name')).toBe('deployment.apps/hello\n')
  expect(
    await k(
      'patch',
      'deployment/hello',
      '-n',
      'hello',
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/metadata/annotations/note"}]',
    ),
  ).toContain('patched')
  expect(
    await k('patch', 'deployment/hello', '-n', 'hello', '--type=merge', '-p', '{"metadata":{"labels":{"tier":"back"}}}'),
  ).toContain('patched')
  expect(await k('patch', 'deployment/hello', '-n', 'hello', '-p', '{"metadata":{"labels":{"tier":null}}}')).toContain('patched')
  expect(await k('get', 'deploy', 'hello', '-n', 'hello', '-o', 'jsonpath={.metadata.labels}')).toBe('{"app":"hello"}')
  const edited = await m.run('kubectl', ['edit', 'configmap/greeting', '-n', 'hello'], {
    env: { EDITOR: "sed -i 's/Hello from Skiff/Hi/'" },
  })
  expect(ok(edited)).toContain('configmap/greeting edited')
  expect(await k('get', 'cm', 'greeting', '-n', 'hello', '-o', 'jsonpath={.data.text}')).toBe('Hi')
})

test('rollout: a change rolls, undo goes back, history tells, restart replaces', async () => {
  const set = ['deployment/hello', '-n', 'hello'] as const
  await k('set', 'env', ...set, 'GREETING=Second')
  expect(await k('rollout', 'status', ...set, '--timeout=90s')).toContain('successfully rolled out')
  await eventually('the new greeting', async () =>
    /^Second/.test((await m.get('http://127.0.0.1:30080/')) ?? '') ? true : undefined,
  )
  expect((await k('rollout', 'history', ...set)).match(/^\d+\s/gm)).toHaveLength(2)
  expect(await k('rollout', 'undo', ...set)).toContain('rolled back')
  expect(await k('rollout', 'status', ...set, '--timeout=90s')).toContain('successfully rolled out')
  expect(await k('rollout', 'pause', ...set)).toContain('paused')
  expect(await k('rollout', 'resume', ...set)).toContain('resumed')
  const before = await k('get', 'pods', '-n', 'hello', '-o', 'name')
  expect(await k('rollout', 'restart', ...set)).toContain('restarted')
  expect(await k('rollout', 'status', ...set, '--timeout=90s')).toContain('successfully rolled out')
  const after = await k('get', 'pods', '-n', 'hello', '--field-selector=status.phase=Running', '-o', 'name')
  expect(after).not.toBe(before)
})

test('api-resources, explain, version and cluster-info answer', async () => {
  expect(await k('api-resources')).toMatch(/deployments\s+deploy\s+apps\/v1\s+true\s+Deployment/)
  const explained = await k('explain', 'pod.spec.containers.livenessProbe')
  expect(explained).toContain('KIND:       Pod')
  expect(explained).toMatch(/periodSeconds\s+<integer>/)
  expect(await k('version')).toMatch(/Server Version: v1\./)
  expect(await k('cluster-info')).toContain('is running at')
})

test('the administrator can be held to the rights of somebody else', async () => {
  expect(await k('auth', 'whoami')).toContain('system:masters')
  expect((await m.kubectl('get', 'pods', '--as=bob')).stderr).toContain(
    'pods is forbidden: User "bob" cannot list resource "pods"',
  )
  expect((await m.kubectl('auth', 'can-i', 'create', 'pods', '--as=bob')).stdout).toBe('no\n')
  expect(await k('auth', 'can-i', 'create', 'pods')).toBe('yes\n')
})

test('a mistyped field is refused by name, nothing is written', async () => {
  const bad = join(m.folder, 'bad.yaml')
  writeFileSync(
    bad,
    readFileSync(manifest, 'utf8')
      .replaceAll('name: hello', 'name: other')
      .replaceAll('namespace: hello', 'namespace: other')
      .replace('containers:', 'contaners:'),
  )
  const result = await m.kubectl('apply', '-f', bad)
  expect(result.code).toBe(1)
  expect(result.stderr).toContain('unknown field "spec.template.spec.contaners"')
  expect((await m.kubectl('get', 'deployment', 'other', '-n', 'other')).code).toBe(1)
})

test('an unknown kind or version is named, with all that is wrong with a known one', async () => {
  for (const [apiVersion, kind] of [
    ['apps/v1', 'Foo'],
    ['apps/v2', 'Deployment'],
    ['batch/v1', 'Job'],
  ]) {
    const result = await m.run('kubectl', ['apply', '-f', '-'], {
      input: JSON.stringify({ apiVersion, kind, metadata: { name: 'x' } }),
    })
    expect(result.code).toBe(1)
    expect(result.stderr).toContain(`no matches for kind "${kind}" in version "${apiVersion}"`)
  }
  expect((await m.kubectl('get', 'nothing')).stderr).toContain('doesn\'t have a resource type "nothing"')
  const deployment = await m.kubectl(
    'patch',
    'deployment/hello',
    '-n',
    'hello',
    '-p',
    '{"spec":{"selector":{"matchLabels":{"x":"y"}}}}',
  )
  expect(deployment.stderr).toContain('The Deployment "hello" is invalid')
  expect(deployment.stderr).toContain('spec.selector')
  expect(deployment.stderr).toContain('field is immutable')
  const wrong = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'wrong' },
    spec: { containers: [{ name: 'A' }, { name: 'a', image: 'x', ports: [{ containerPort: 0 }] }] },
  }
  const pod = await m.run('kubectl', ['create', '-f', '-'], { input: JSON.stringify(wrong) })
  for (const field of ['spec.containers[0].name', 'spec.containers[0].image', 'spec.containers[1].ports[0].containerPort'])
    expect(pod.stderr).toContain(field)
})

test('a stale object is refused, a server-side dry run writes nothing, diff says whether there is a difference', async () => {
  const before = await k('get', 'cm', 'greeting', '-n', 'hello', '-o', 'json')
  await k('annotate', 'cm', 'greeting', '-n', 'hello', 'changed=yes')
  const stale = await m.run('kubectl', ['replace', '-f', '-'], { input: before })
  expect(stale.code).toBe(1)
  expect(stale.stderr).toMatch(/Error from server \(Conflict\).*the object has been modified/)
  const more = join(m.folder, 'more.yaml')
  writeFileSync(more, readFileSync(manifest, 'utf8').replace('replicas: 3', 'replicas: 9'))
  expect(await k('apply', '-f', more, '--dry-run=server')).toContain('deployment.apps/hello configured (server dry run)')
  expect(await k('get', 'deploy', 'hello', '-n', 'hello', '-o', 'jsonpath={.spec.replicas}')).toBe('3')
  const diff = await m.kubectl('diff', '-f', more)
  expect([diff.code, diff.stdout]).toEqual([1, expect.stringMatching(/^- {2}replicas: 3\n\+ {2}replicas: 9$/m)])
  expect(await k('apply', '-f', manifest)).toContain('configmap/greeting configured') // The test before edited it.
  expect((await m.kubectl('diff', '-f', manifest)).code).toBe(0)
})

test('labels, fields, sorting and columns choose what get prints', async () => {
  const inHello = (...args: readonly string[]) => k('get', 'pods', '-n', 'hello', ...args)
  const all = (await inHello('-o', 'name')).trim().split('\n')
  expect(all).toHaveLength(3)
  expect((await inHello('-l', 'app in (hello,x),!absent', '-o', 'name')).trim().split('\n')).toEqual(all)
  expect(await inHello('-l', 'app=x', '-o', 'name')).toBe('')
  const node = (await k('get', 'nodes', '-o', 'name')).trim().replace('node/', '')
  expect((await inHello(`--field-selector=spec.nodeName=${node},status.phase=Running`, '-o', 'name')).trim().split('\n')).toEqual(
    all,
  )
  expect((await m.kubectl('get', 'pods', '--field-selector=spec.none=x')).stderr).toContain('field label not supported')
  expect(await inHello('-L', 'app')).toMatch(/^NAME.*AGE\s+APP\n/)
  expect(await inHello('--sort-by=.status.podIP', '-o', 'custom-columns=N:.metadata.name,IP:.status.podIP')).toMatch(
    /^N\s+IP\n(hello-\S+\s+10\.42\.\S+\n){3}$/,
  )
  expect((await k('get', 'pods', '-A', '--chunk-size=2', '--no-headers')).trim().split('\n').length).toBeGreaterThanOrEqual(3)
})

test('what goes wrong with a pod is told by get, describe and logs', async () => {
  const pods = [
    { name: 'crash', spec: { containers: [container('sh', '-c', 'echo boom; exit 4')] } },
    { name: 'never', spec: { containers: [{ ...container(), command: ['/no/such'] }] } },
    { name: 'lacks', spec: { containers: [{ ...container(), envFrom: [{ configMapRef: { name: 'gone' } }] }] } },
    { name: 'large', spec: { containers: [{ ...container(), resources: { requests: { cpu: '1000' } } }] } },
  ].map(({ name, spec }) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }))
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: pods })
  ok(await m.run('kubectl', ['apply', '-f', '-'], { input }))
  await eventually('what is wrong in the table of pods', async (tell) => {
    const table = await k('get', 'pods')
    tell(table)
    const told = [
      /crash .*CrashLoopBackOff/,
      /never .*(CrashLoopBackOff|RunContainerError|StartError)/,
      /lacks .*CreateContainerConfigError/,
    ]
    return [...told, /large .*Pending/].every((row) => row.test(table)) ? true : undefined
  })
  expect(await k('logs', 'crash', '--previous')).toBe('boom\n')
  expect((await m.kubectl('logs', 'lacks')).stderr).toContain('is waiting to start: CreateContainerConfigError')
  const toldBy: readonly (readonly [string, RegExp])[] = [
    ['crash', /Warning\s+BackOff.*Back-off restarting failed container/],
    ['crash', /Last State:\s+Terminated\s+Reason:\s+Error\s+Exit Code:\s+4/],
    ['never', /\/no\/such/],
    ['lacks', /Warning\s+Failed.*configmap "gone" not found/],
    ['large', /Warning\s+FailedScheduling.*Insufficient cpu/],
  ]
  for (const [name, what] of toldBy) {
    await eventually(`${name}: ${what}`, async (tell) => {
      const text = await k('describe', 'pod', name)
      tell(text)
      return what.test(text) ? true : undefined
    })
  }
  await k('create', 'configmap', 'gone', '--from-literal=a=1')
  await k('wait', '--for=condition=Ready', 'pod/lacks', '--timeout=60s')
  // A node's events come a moment after its statuses.
  await eventually('events of the pod in their order', async (tell) => {
    const steps = await k('get', 'events', '--field-selector=involvedObject.name=lacks', '-o', 'jsonpath={.items[*].reason}')
    tell(steps)
    return /^Scheduled .*Created Started$/.test(steps) ? true : undefined
  })
  await k('delete', 'pod', 'crash', 'never', 'lacks', 'large', '--grace-period=1')
  await k('delete', 'configmap', 'gone')
})

test('drain empties a node, and uncordon fills it again', async () => {
  const node = (await k('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}')).trim()
  expect(await k('drain', node, '--ignore-daemonsets', '--force', '--delete-emptydir-data', '--timeout=60s')).toContain('drained')
  expect(await k('get', 'nodes')).toContain('Ready,SchedulingDisabled')
  expect(await k('get', 'pods', '-n', 'hello')).not.toMatch(/Running/)
  expect(await k('uncordon', node)).toContain('uncordoned')
  expect(await k('rollout', 'status', 'deployment/hello', '-n', 'hello', '--timeout=60s')).toContain('successfully rolled out')
  expect(await k('taint', 'nodes', node, 'a=b:NoSchedule')).toContain('tainted')
  expect(await k('taint', 'nodes', node, 'a-')).toContain('untainted')
})

test('deleting with --cascade=orphan leaves what belonged to it, which can be taken over again', async () => {
  const pods = await k('get', 'pods', '-n', 'hello', '-o', 'name')
  const deployment = await k('get', 'deployment', 'hello', '-n', 'hello', '-o', 'json')
  expect(await k('delete', 'deployment/hello', '-n', 'hello', '--cascade=orphan')).toContain('deleted')
  expect(await k('get', 'rs', '-n', 'hello', '-o', 'jsonpath={.items[*].metadata.ownerReferences}')).toBe('')
  const { apiVersion, kind, spec } = JSON.parse(deployment) as Readonly<Record<string, unknown>>
  const input = JSON.stringify({ apiVersion, kind, metadata: { name: 'hello', namespace: 'hello' }, spec })
  expect(ok(await m.run('kubectl', ['create', '-f', '-'], { input }))).toContain('deployment.apps/hello created')
  await k('rollout', 'status', 'deployment/hello', '-n', 'hello', '--timeout=60s')
  expect(await k('get', 'pods', '-n', 'hello', '-o', 'name')).toBe(pods)
  expect(await k('get', 'rs', '-n', 'hello', '-o', 'jsonpath={.items[*].metadata.ownerReferences[*].name}')).toMatch(
    /^(hello ?)+$/,
  )
})

/**
 * Where Kubernetes, too, says "configured" each time: `stringData` is never kept, a list without keys is compared as a
 * whole with the defaults that its items were given, and a controller taints a node that says nothing.
 */
const neverUnchanged = ['secret/web-login', 'pod/web', 'node/node-1']

test('applying all manifests again leaves them unchanged', async () => {
  await k('apply', '-f', manifests)
  const rows = (await k('apply', '-f', manifests)).trim().split('\n')
  expect(rows.length).toBeGreaterThan(readdirSync(manifests).length)
  const others = rows.filter((row) => !neverUnchanged.some((name) => row.startsWith(`${name} `)))
  expect(others.filter((row) => !row.endsWith(' unchanged'))).toEqual([])
  await k('delete', '-f', manifests, '--timeout=90s')
})

test('delete removes what apply made', async () => {
  await k('apply', '-f', manifest)
  await k('rollout', 'status', 'deployment/hello', '-n', 'hello', '--timeout=60s')
  const deleted = await k('delete', '-f', manifest, '--timeout=90s')
  for (const one of ['namespace "hello"', 'configmap "greeting"', 'deployment.apps "hello"', 'service "hello"'])
    expect(deleted).toContain(`${one} deleted`)
  await eventually('no container of the namespace', async (tell) => {
    const names = ok(await m.docker('ps', '--format', '{{.Names}}'))
    tell(names)
    return names.includes('hello') ? undefined : true
  })
})
