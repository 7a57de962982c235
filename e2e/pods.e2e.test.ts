import { afterAll, beforeAll, expect, test } from 'vitest'
import { prepareImage, shellPod } from './example-image.ts'
import { createMachine, eventually, type Machine, ok } from './machine.ts'
import { podTools } from './pod-tools.ts'

let m: Machine
beforeAll(async () => {
  m = await createMachine('pods')
  await prepareImage(m)
  ok(await m.ctl('up'))
})
afterAll(async () => {
  await m[Symbol.asyncDispose]()
})

const { ctl, apply, tryApply, path, statusOf, until } = podTools(() => m)

test('a pod gets its address, its name and its environment', async () => {
  await apply('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {color: blue, file.txt: "first"}\n')
  await apply('apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {token: s3cret}\n')
  const env = [
    { name: 'PLAIN', value: 'one' },
    { name: 'BOTH', value: '$(PLAIN)-$$(PLAIN)-$(MISSING)' },
    { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
    { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } },
    { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
  ]
  const script = 'env; hostname; cat /etc/hosts; pwd; sleep 600'
  await apply(
    shellPod('facts', script, {
      container: {
        env,
        workingDir: '/tmp',
        resources: { limits: { memory: '64Mi' } },
        envFrom: [{ prefix: 'S_', configMapRef: { name: 'settings' } }],
      },
    }),
  )
  const log = await ctl('logs', 'facts')
  expect(log).toContain('BOTH=one-$(PLAIN)-$(MISSING)')
  expect(log).toContain('COLOR=blue')
  expect(log).toContain('TOKEN=s3cret')
  expect(log).toMatch(/IP=10\.42\.\d+\.\d+/)
  expect(log).toMatch(/NODE=\S+/)
  expect(log).toContain('MEMORY=64')
  expect(log).toContain('S_color=blue')
  expect(log).toContain('facts\n')
  expect(log).toContain('/tmp\n')
})

test('configMap, secret, emptyDir, hostPath and downwardAPI volumes appear, and changes arrive', async () => {
  const volumes = [
    { name: 'config', configMap: { name: 'settings' } },
    { name: 'secret', secret: { secretName: 'keys', defaultMode: 0o400 } },
    { name: 'scratch', emptyDir: {} },
    { name: 'memory', emptyDir: { medium: 'Memory' } },
    { name: 'host', hostPath: { path: '/etc' } },
    { name: 'down', downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
  ]
  const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/v/${name}` }))
  const script =
    'cat /v/config/file.txt /v/secret/token /v/down/name; echo; touch /v/scratch/a && test -f /v/host/debian_version && echo all; while sleep 1; do cat /v/config/file.txt; echo; done'
  await apply(shellPod('volumes', script, { container: { volumeMounts }, spec: { volumes } }))
  expect(await ctl('logs', 'volumes')).toContain('firsts3cretvolumes\nall')
  await apply('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {color: blue, file.txt: "second"}\n')
  await eventually('the change arrives', async (tell) => {
    const log = await ctl('logs', 'volumes', '--tail=1')
    tell(log)
    return log.includes('second') ? true : undefined
  })
})

test('init containers run one after the other, before the containers', async () => {
  const init = (name: string, script: string) => ({
    name,
    image: 'skiff/hello:1',
    imagePullPolicy: 'IfNotPresent',
    command: ['sh', '-c', script],
    volumeMounts: [{ name: 'v', mountPath: '/v' }],
  })
  const spec = {
    initContainers: [init('a', 'echo a >> /v/log'), init('b', 'echo b >> /v/log')],
    volumes: [{ name: 'v', emptyDir: {} }],
  }
  await apply(shellPod('inits', 'cat /v/log; sleep 600', { spec, container: { volumeMounts: [{ name: 'v', mountPath: '/v' }] } }))
  expect(await ctl('logs', 'inits')).toBe('a\nb\n')
  expect(await path('inits', '.status.initContainerStatuses[*].state.terminated.reason')).toBe('Completed Completed')
})

test('a container that exits at once backs off, says its exit code, and keeps its last log', async () => {
  await apply(shellPod('crash', 'echo dying; exit 3'), '--no-wait')
  await until('crash', '.status.containerStatuses[0].state.waiting.reason', /^CrashLoopBackOff$/)
  expect(await path('crash', '.status.containerStatuses[0].lastState.terminated.exitCode')).toBe('3')
  expect(Number(await path('crash', '.status.containerStatuses[0].restartCount'))).toBeGreaterThan(0)
  expect(await ctl('logs', 'crash', '--previous')).toBe('dying\n')
  expect(await statusOf('crash')).toContain('CrashLoopBackOff')
  expect(await ctl('describe', 'pod', 'crash')).toMatch(/Warning\s+BackOff/)
})

test('restartPolicy Never: success is Succeeded, failure is Failed', async () => {
  // Waiting for the outcome would be over while they run: a pod that is ready is one.
  const once = { spec: { restartPolicy: 'Never' } }
  await apply(shellPod('good', 'exit 0', once), '--no-wait')
  await until('good', '.status.phase', /^Succeeded$/)
  expect(await statusOf('good')).toContain('Completed')
  await apply(shellPod('bad', 'exit 9', once), '--no-wait')
  await until('bad', '.status.phase', /^Failed$/)
  const failed = await tryApply(shellPod('bad', 'exit 9', once))
  expect(failed.code).toBe(1)
  expect(failed.stderr).toContain('exited with code 9')
})

test('a container over its memory limit is OOMKilled', async () => {
  const script = 'x=a; while true; do x=$x$x; done'
  await apply(
    shellPod('oom', script, { spec: { restartPolicy: 'Never' }, container: { resources: { limits: { memory: '32Mi' } } } }),
    '--no-wait',
  )
  await until('oom', '.status.containerStatuses[0].state.terminated.reason', /^OOMKilled$/)
  expect(await path('oom', '.status.containerStatuses[0].state.terminated.exitCode')).toBe('137')
})

test('a liveness probe that fails has the container restarted', async () => {
  const livenessProbe = {
    exec: { command: ['test', '-f', '/tmp/alive'] },
    periodSeconds: 1,
    failureThreshold: 2,
    initialDelaySeconds: 1,
  }
  await apply(
    shellPod('liveness', 'touch /tmp/alive; sleep 3; rm /tmp/alive; sleep 600', {
      container: { livenessProbe },
      spec: { terminationGracePeriodSeconds: 1 },
    }),
    '--no-wait',
  )
  await until('liveness', '.status.containerStatuses[0].restartCount', /^[1-9]/)
  expect(await ctl('events', '--for', 'pod/liveness')).toMatch(/Unhealthy[\s\S]*Liveness probe failed/)
})

test('a readiness probe decides whether a pod is ready', async () => {
  const readinessProbe = { exec: { command: ['test', '-f', '/tmp/ready'] }, periodSeconds: 1 }
  await apply(shellPod('readiness', 'sleep 600', { container: { readinessProbe } }), '--no-wait')
  await until('readiness', '.status.phase', /^Running$/)
  expect(await statusOf('readiness')).toMatch(/0\/1\s+Running/)
  ok(await m.ctl('exec', 'readiness', '--', 'touch', '/tmp/ready'))
  await until('readiness', '.status.containerStatuses[0].ready', /^true$/)
})

test('deletion is graceful: the container hears SIGTERM and has its time', async () => {
  await apply(
    shellPod('graceful', "trap 'echo bye > /v/said; exit 0' TERM; while true; do sleep 0.1; done", {
      container: { volumeMounts: [{ name: 'v', mountPath: '/v' }] },
      spec: {
        terminationGracePeriodSeconds: 20,
        volumes: [{ name: 'v', hostPath: { path: `${m.folder}/said`, type: 'DirectoryOrCreate' } }],
      },
    }),
  )
  const started = performance.now()
  await ctl('delete', 'pod', 'graceful')
  expect(performance.now() - started).toBeLessThan(15_000)
  expect(ok(await m.run('cat', [`${m.folder}/said/said`]))).toBe('bye\n')
})

test.each([
  [
    'an image that does not exist',
    { container: { image: 'skiff/nothing:1', imagePullPolicy: 'Never' } },
    /ErrImageNeverPull/,
    /skiff\/nothing:1/,
  ],
  [
    'an image that cannot be pulled',
    { container: { image: 'localhost:1/nothing:1' } },
    /ErrImagePull|ImagePullBackOff/,
    /localhost:1\/nothing:1/,
  ],
  [
    'a missing ConfigMap',
    { container: { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'not-there', key: 'a' } } }] } },
    /CreateContainerConfigError/,
    /configmap "not-there" not found/,
  ],
  [
    'a command that does not exist',
    { container: { command: ['/no/such/program'] } },
    /RunContainerError|CreateContainerError|CrashLoopBackOff/,
    /no such file|not found/,
  ],
] as const)('%s is named in status and events', async (what, more, reason, message) => {
  const name = what.replaceAll(/[^a-z]+/gi, '-').toLowerCase()
  await apply(shellPod(name, 'sleep 600', more), '--no-wait')
  await until(name, '.status.containerStatuses[0].state.waiting.reason', reason)
  expect(await ctl('describe', 'pod', name)).toMatch(message)
})

test('a taken host port and a pod too large are told before anything runs', async () => {
  const ports = [{ containerPort: 80, hostPort: 31999 }]
  await apply(shellPod('port-a', 'sleep 600', { container: { ports } }))
  await apply(shellPod('port-b', 'sleep 600', { container: { ports } }), '--no-wait')
  const message = await until('port-b', '.status.conditions[?(@.type=="PodScheduled")].message', /free ports/)
  expect(message).toContain("0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports")
  await apply(shellPod('huge', 'sleep 600', { container: { resources: { requests: { memory: '900Ti' } } } }), '--no-wait')
  await until('huge', '.status.conditions[?(@.type=="PodScheduled")].message', /0\/1 nodes are available: 1 Insufficient memory/)
  expect(await ctl('describe', 'pod', 'huge')).toMatch(/FailedScheduling/)
})

test('two containers of a pod share localhost', async () => {
  const containers = [
    { name: 'web', image: 'skiff/hello:1', imagePullPolicy: 'IfNotPresent' },
    {
      name: 'client',
      image: 'skiff/hello:1',
      imagePullPolicy: 'IfNotPresent',
      command: ['sh', '-c', 'until wget -q -O- http://127.0.0.1:8080/; do sleep 0.2; done; sleep 600'],
    },
  ]
  await apply(shellPod('pair', '', { spec: { containers } }))
  await eventually('the answer', async (tell) => {
    const log = await ctl('logs', 'pair', '-c', 'client')
    tell(log)
    return log.includes('this is pod pair') ? true : undefined
  })
})

test('a pod reaches its own service (hairpin) and others through the cluster address', async () => {
  const service =
    'apiVersion: v1\nkind: Service\nmetadata: {name: self}\nspec: {selector: {app: self}, ports: [{port: 80, targetPort: 8080}]}\n'
  await apply(service)
  const pod = JSON.parse(shellPod('self', '')) as { metadata: { labels?: object }; spec: { containers: { command?: unknown }[] } }
  pod.metadata.labels = { app: 'self' }
  delete pod.spec.containers[0]?.command
  await apply(JSON.stringify(pod))
  const ip = await ctl('get', 'service', 'self', '-o', 'jsonpath={.spec.clusterIP}')
  await eventually('the service answers from its own pod', async (tell) => {
    const result = await m.ctl('exec', 'self', '--', 'wget', '-q', '-O-', `http://${ip}/`)
    tell(result.stderr)
    return result.stdout.includes('this is pod self') ? true : undefined
  })
})
