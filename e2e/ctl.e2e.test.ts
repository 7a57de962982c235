import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { prepareImage } from './example-image.ts'
import { createMachine, eventually, type Machine, ok, root } from './machine.ts'

let m: Machine
beforeAll(async () => {
  m = await createMachine('ctl')
  await prepareImage(m)
  ok(await m.ctl('up'))
})
afterAll(async () => {
  await m[Symbol.asyncDispose]()
})

const ctl = async (...args: readonly string[]) => ok(await m.ctl(...args))
const manifest = join(root, 'manifests/hello.yaml')
const applyText = (text: string, ...args: readonly string[]) =>
  m.run(process.execPath, [join(root, 'dist/programs/ctl.mjs'), 'apply', '-f', '-', ...args], { input: text })

test('status tells what runs', async () => {
  const text = await ctl('status')
  expect(text).toMatch(/control plane: running \(pid \d+\)/)
  expect(text).toMatch(/nodes: 1 of 1 ready/)
})

test('up again leaves everything as it is', async () => {
  const before = await ctl('status')
  expect(await ctl('up')).toContain('is running already')
  expect(await ctl('status')).toBe(before)
})

test('apply waits for the outcome and shows the rollout', async () => {
  const text = await ctl('apply', '-f', manifest)
  expect(text).toMatch(
    /namespace\/hello created\nconfigmap\/greeting created\ndeployment.apps\/hello created\nservice\/hello created\n/,
  )
  expect(text).toMatch(/Waiting for deployment "hello" rollout to finish/)
  expect(text.trimEnd().endsWith('deployment "hello" successfully rolled out')).toBe(true)
})

test('get: tables, wide, yaml, json, name, jsonpath, custom-columns, selectors', async () => {
  expect(await ctl('get', 'pods', '-n', 'hello')).toMatch(
    /^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\n(hello-\S+\s+1\/1\s+Running\s+0\s+\d+s\n){3}$/,
  )
  expect(await ctl('get', 'pods', '-n', 'hello', '-o', 'wide')).toMatch(/IP\s+NODE/)
  expect(await ctl('get', 'deploy/hello', '-n', 'hello', '-o', 'yaml')).toMatch(/^apiVersion: apps\/v1\nkind: Deployment\n/)
  expect(JSON.parse(await ctl('get', 'pods', '-n', 'hello', '-o', 'json')).items).toHaveLength(3)
  expect(await ctl('get', 'svc', '-n', 'hello', '-o', 'name')).toBe('service/hello\n')
  expect(await ctl('get', 'svc', 'hello', '-n', 'hello', '-o', 'jsonpath={.spec.type}')).toBe('NodePort')
  expect(await ctl('get', 'svc', '-n', 'hello', '-o', 'custom-columns=NAME:.metadata.name,PORT:.spec.ports[0].nodePort')).toBe(
    'NAME    PORT\nhello   30080\n',
  )
  expect(await ctl('get', 'pods', '-A', '-l', 'app=hello', '-o', 'name')).toMatch(/^(pod\/hello-\S+\n){3}$/)
  expect(await ctl('get', 'all', '-n', 'hello')).toMatch(
    /pod\/hello[\s\S]+service\/hello[\s\S]+deployment.apps\/hello[\s\S]+replicaset.apps\/hello/,
  )
  expect((await m.ctl('get', 'pods', '-n', 'nothing-here')).stderr).toContain('No resources found in nothing-here namespace.')
})

const same: readonly string[] = [
  '-n hello get all',
  'get pods,svc -A -o wide',
  'get deploy hello -n hello -o yaml',
  'get svc hello nothing -n hello',
  'get pods -n hello -L app --no-headers=true',
  'get nodes -o json',
  'get pods -n hello -o custom-columns=N:.metadata.name,L:.metadata.labels,X:.nothing',
  'get pods -o foo=',
  'describe deployment hello -n hello',
  'describe svc hello -n hello',
  'describe configmap greeting -n hello',
  'describe rs -n hello',
  'rollout status deploy -n hello --watch=false',
  'rollout history deployment/hello -n hello',
  'delete pod nothing',
  'delete configmap greeting -n hello --dry-run=server',
  'exec -n hello deploy/hello -- sh -c echo',
  'logs -n hello deploy/hello --tail=0',
  'scale deployment/hello -n hello --replicas=3',
  'events --for pod/nothing',
]
const withoutAges = (text: string): string =>
  text.replaceAll(/\b(\d+[smh])+\b *|resourceVersion: "?\d+"?/g, '').replaceAll(/ +\n/g, '\n')
test.each(same)('ctl %s says what kubectl says', async (line) => {
  const args = line.split(' ')
  const [mine, theirs] = [await m.ctl(...args), await m.kubectl(...args)]
  const formats = / allowed formats are: .*/
  expect(withoutAges(mine.stdout)).toBe(withoutAges(theirs.stdout))
  expect(mine.stderr.replace(formats, '')).toBe(theirs.stderr.replace(formats, ''))
  expect(mine.code).toBe(theirs.code)
})

test('a manifest is read as kubectl reads it: octal modes, times and clock times as texts', async () => {
  const text = `apiVersion: v1
kind: ConfigMap
metadata: {name: scalars}
data: {time: 12:30, day: 2001-12-14, mode: "0400"}
---
apiVersion: v1
kind: Pod
metadata: {name: octal}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: v, configMap: {name: scalars, defaultMode: 0400}}, {name: root, hostPath: {path: /}}]
  containers:
    - name: main
      image: skiff/hello:1
      imagePullPolicy: IfNotPresent
      command: [sh, -c, 'stat -Lc %a /v/time; echo $(cat /v/time); sleep 600']
      volumeMounts: [{name: v, mountPath: /v}, {name: root, mountPath: /host, readOnly: true}]
`
  ok(await applyText(text))
  await eventually('mode and text of the file', async (tell) => {
    const text = await ctl('logs', 'octal')
    tell(text)
    return text === '400\n12:30\n' ? true : undefined
  })
  expect(await ctl('get', 'pod', 'octal', '-o', 'jsonpath={.spec.volumes[0].configMap.defaultMode}')).toBe('256')
  // What ctl applied is unchanged for ctl, and for kubectl too.
  expect(ok(await applyText(text))).toMatch(/^configmap\/scalars unchanged\npod\/octal unchanged\n/)
  expect(ok(await m.run('kubectl', ['apply', '-f', '-'], { input: text }))).toBe(
    'configmap/scalars unchanged\npod/octal unchanged\n',
  )
  expect(await ctl('delete', 'pod/octal', 'cm/scalars', '--wait=true')).toBe('pod "octal" deleted\nconfigmap "scalars" deleted\n')
})

test('get -w shows changes', async () => {
  const child = m.spawn(process.execPath, [join(root, 'dist/programs/ctl.mjs'), 'get', 'deploy', 'hello', '-n', 'hello', '-w'])
  let seen = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    seen += chunk.toString()
  })
  await eventually('the first line', async (tell) => {
    tell(seen)
    return seen.includes('3/3') ? true : undefined
  })
  await ctl('scale', 'deployment/hello', '-n', 'hello', '--replicas=4')
  await eventually('4/4', async (tell) => {
    tell(seen)
    return seen.includes('4/4') ? true : undefined
  })
  child.kill()
  await ctl('scale', 'deployment/hello', '-n', 'hello', '--replicas=3')
})

test('describe, events and logs tell what happened', async () => {
  expect(await ctl('describe', 'deployment', 'hello', '-n', 'hello')).toMatch(/Replicas:\s+3 desired[\s\S]+ScalingReplicaSet/)
  expect(await ctl('describe', 'nodes')).toMatch(/Capacity:[\s\S]+PodCIDR:\s+10\.42\./)
  expect(await ctl('events', '-n', 'hello')).toMatch(/Normal\s+Scheduled\s+pod\/hello-/)
  expect((await m.ctl('logs', 'deployment/hello', '-n', 'hello')).stdout).toContain('listening on port 8080')
})

test('exec passes input, output and exit code', async () => {
  const pod = (await ctl('get', 'pods', '-n', 'hello', '-o', 'jsonpath={.items[0].metadata.name}')).trim()
  expect(await ctl('exec', pod, '-n', 'hello', '--', 'hostname')).toBe(`${pod}\n`)
  expect((await m.ctl('exec', pod, '-n', 'hello', '--', 'sh', '-c', 'exit 5')).code).toBe(5)
  const ctlProgram = join(root, 'dist/programs/ctl.mjs')
  const echoed = await m.run(process.execPath, [ctlProgram, 'exec', '-i', pod, '-n', 'hello', '--', 'cat'], { input: 'abc\n' })
  expect(echoed.stdout).toBe('abc\n')
  const tty = await m.run('script', [
    '-qec',
    `${process.execPath} ${ctlProgram} exec -it ${pod} -n hello -- sh -c 'tty; exit 4'`,
    '/dev/null',
  ])
  expect(tty.stdout).toContain('/dev/pts/')
  expect(tty.code).toBe(4)
})

test('rollout: a bad image stops the rollout and says why, undo goes back, history and restart work', async () => {
  const name = ['deployment/hello', '-n', 'hello'] as const
  // A registry that refuses at once; the name of one that does not exist may be looked up for long.
  const bad = (await ctl('get', ...name, '-o', 'json')).replaceAll('skiff/hello:1', '127.0.0.1:9/missing:1')
  const result = await applyText(bad, '--timeout=8s')
  expect(result.code).toBe(1)
  expect(result.stderr).toMatch(/ErrImagePull|ImagePullBackOff/)
  expect(await m.get('http://127.0.0.1:30080/')).toMatch(/^Hello/)
  expect(await ctl('rollout', 'undo', ...name)).toContain('rolled back')
  expect(await ctl('rollout', 'status', ...name)).toContain('successfully rolled out')
  expect(await ctl('rollout', 'history', ...name)).toMatch(/REVISION\s+CHANGE-CAUSE/)
  expect(await ctl('rollout', 'pause', ...name)).toContain('deployment.apps/hello paused')
  expect(await ctl('rollout', 'resume', ...name)).toContain('deployment.apps/hello resumed')
  expect(await ctl('rollout', 'restart', ...name)).toContain('deployment.apps/hello restarted')
  expect(await ctl('rollout', 'status', ...name)).toContain('successfully rolled out')
})

test('run starts a pod and waits until it is ready; delete waits until it is gone', async () => {
  expect(
    await ctl('run', 'solo', '--image=skiff/hello:1', '--image-pull-policy=IfNotPresent', '--port=8080', '-e', 'GREETING=Solo'),
  ).toMatch(/pod\/solo created[\s\S]+pod "solo" is ready/)
  expect(await ctl('delete', 'pod', 'solo')).toContain('pod "solo" deleted')
  expect((await m.ctl('get', 'pod', 'solo')).stderr).toContain('pods "solo" not found')
})

test('version, explain, api-resources and completion answer', async () => {
  expect(await ctl('version')).toMatch(/Client Version: v[\s\S]+Server Version: v/)
  expect(await ctl('explain', 'deployment.spec.strategy')).toContain('rollingUpdate')
  expect(await ctl('api-resources')).toMatch(/pods\s+po\s+v1\s+true\s+Pod/)
  for (const shell of ['bash', 'zsh', 'fish']) expect(await ctl('completion', shell)).toContain('rollout')
})

const deployment = (edit: (text: string) => string): string =>
  edit(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: wrong
spec:
  replicas: 1
  selector:
    matchLabels: {app: wrong}
  template:
    metadata:
      labels: {app: wrong}
    spec:
      containers:
        - name: main
          image: skiff/hello:1
`)

test.each([
  ['an unknown field', deployment((text) => text.replace('replicas:', 'replica:')), /-:6: .*unknown field "spec\.replica"/],
  ['a wrong type', deployment((text) => text.replace('replicas: 1', 'replicas: three')), /-:6: .*spec\.replicas/],
  ['an unknown kind', 'apiVersion: v1\nkind: Pods\nmetadata: {name: a}\n', /-:2: no matches for kind "Pods"/],
  [
    'an unknown version',
    'apiVersion: apps/v9\nkind: Deployment\nmetadata: {name: a}\n',
    /no matches for kind "Deployment" in version "apps\/v9"/,
  ],
  ['duplicate keys', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {}\ndata: {}\n', /-:5: .*unique/],
  [
    'a bad name',
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_Valid}\n',
    /-:3: metadata\.name: Invalid value: "Not_Valid"/,
  ],
  [
    'an alias bomb',
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx: &a [y]\n${'bcdefghi'
      .split('')
      .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
      .join('\n')}\n`,
    /-:\d+: .*alias/i,
  ],
  [
    'deep nesting',
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx: ${'['.repeat(5000)}${']'.repeat(5000)}\n`,
    /^error: .*-:\d+: /,
  ],
  [
    'a key of the prototype',
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n__proto__: {x: y}\n',
    /-:4: .*unknown field "__proto__"/,
  ],
  ['a bad label', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {"bad key!": x}}\n', /-:3: metadata\.labels/],
  [
    'a selector that does not match',
    deployment((text) => text.replace('labels: {app: wrong}', 'labels: {app: other}')),
    /-:\d+: spec\.template\.metadata\.labels: Invalid value/,
  ],
  [
    'a container without a name',
    deployment((text) => text.replace('- name: main\n          image', '- image')),
    /spec\.template\.spec\.containers\[0\]\.name/,
  ],
])('%s is refused with field and line, and nothing is written', async (_, text, expected) => {
  const good = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: comes-first}\n---\n'
  const single = await applyText(text)
  expect(single.code).toBe(1)
  expect(single.stderr).toMatch(expected)
  // The good object before it must not be written either.
  expect((await applyText(good + text)).code).toBe(1)
  expect((await m.ctl('get', 'configmap', 'comes-first')).code).toBe(1)
})

test('an immutable field cannot be changed, and a stale write is a conflict', async () => {
  ok(
    await applyText(
      deployment((text) => text),
      '--no-wait',
    ),
  )
  const moved = await applyText(deployment((text) => text.replaceAll('app: wrong', 'app: moved')))
  expect(moved.stderr).toMatch(/-:\d+: spec\.selector: Invalid value: .*field is immutable/)
  const file = join(m.folder, 'stale.json')
  const object = JSON.parse(await ctl('get', 'deployment', 'wrong', '-o', 'json'))
  object.metadata.resourceVersion = '1'
  writeFileSync(file, JSON.stringify(object))
  const stale = await m.kubectl('replace', '-f', file)
  expect(stale.stderr).toContain('the object has been modified')
  await ctl('delete', 'deployment', 'wrong')
})

test('an agent that is killed restarts nothing, and a killed control plane comes back with everything', async () => {
  const ids = async () =>
    ok(await m.docker('ps', '--no-trunc', '--format', '{{.ID}} {{.Names}}'))
      .trim()
      .split('\n')
      .filter((line) => !line.includes('skiff_POD_spare__'))
      .sort()
  // What was deleted just now takes its grace period to go.
  await eventually('the pods of the test before are gone', async (tell) => {
    const text = await ctl('get', 'pods', '-o', 'name')
    tell(text)
    return text === '' ? true : undefined
  })
  const before = await ids()
  const pids = [...(await ctl('status')).matchAll(/: running \(pid (\d+)\)/g)].map(([, pid]) => Number(pid))
  expect(pids).toHaveLength(2)
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  expect((await m.ctl('status')).code).not.toBe(0)
  ok(await m.ctl('up'))
  await ctl('rollout', 'status', 'deployment/hello', '-n', 'hello')
  expect(await ids()).toEqual(before)
})

test('a container that vanishes is replaced', async () => {
  const pod = (await ctl('get', 'pods', '-n', 'hello', '-o', 'jsonpath={.items[0].metadata.name}')).trim()
  const id = (await ctl('get', 'pod', pod, '-n', 'hello', '-o', 'jsonpath={.status.containerStatuses[0].containerID}')).replace(
    'docker://',
    '',
  )
  ok(await m.docker('rm', '-f', id))
  await eventually('another container runs', async (tell) => {
    const text = await ctl(
      'get',
      'pod',
      pod,
      '-n',
      'hello',
      '-o',
      'jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].ready}',
    )
    tell(text)
    return text.endsWith('true') && !text.includes(id) ? true : undefined
  })
})

test('apply gives up on a pod that stands still, and says why', async () => {
  const pod =
    'apiVersion: v1\nkind: Pod\nmetadata: {name: stuck}\nspec: {containers: [{name: c, image: "skiff/none:1", imagePullPolicy: Never}]}\n'
  const result = await applyText(pod, '--stall-timeout=2s')
  expect(result.code).toBe(1)
  expect(result.stderr).toContain('ErrImageNeverPull')
  expect(result.stderr).toContain('error: no progress for 2 s waiting for pod "stuck"')
  await ctl('delete', 'pod', 'stuck')
})
