import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { prepareImage, shellPod } from './example-image.ts'
import { createMachine, eventually, type Machine, ok } from './machine.ts'
import { podTools } from './pod-tools.ts'

let m: Machine
beforeAll(async () => {
  m = await createMachine('pod-life')
  await prepareImage(m)
  ok(await m.ctl('up'))
})
afterAll(async () => {
  await m[Symbol.asyncDispose]()
})

const { ctl, apply, tryApply, path, statusOf, until } = podTools(() => m)
const ctlProgram = new URL('../dist/programs/ctl.mjs', import.meta.url).pathname
const image = { image: 'skiff/hello:1', imagePullPolicy: 'IfNotPresent' } as const
const shell = (name: string, script: string, more: object = {}) => ({ name, ...image, command: ['sh', '-c', script], ...more })
const scratch = { volumes: [{ name: 'v', emptyDir: {} }] } as const
const atV = { volumeMounts: [{ name: 'v', mountPath: '/v' }] } as const
const first = (field: string) => `.status.containerStatuses[0].${field}`
async function answers(url: string, text: string): Promise<void> {
  await eventually(`${url} answers`, async () => ((await m.get(url))?.includes(text) ? true : undefined), 10_000)
}

const execIn = async (pod: string, script: string) => ok(await m.ctl('exec', pod, '--', 'sh', '-c', script))

async function containerOf(pod: string): Promise<string> {
  return (await path(pod, first('containerID'))).replace('docker://', '')
}

async function logHas(pod: string, text: string | RegExp, ...args: readonly string[]): Promise<string> {
  return await eventually(`the log of ${pod} has ${text}`, async (tell) => {
    const log = await ctl('logs', pod, ...args)
    tell(log)
    return (typeof text === 'string' ? log.includes(text) : text.test(log)) ? log : undefined
  })
}

test('an init container that fails is tried again with back-off, and the pod waits', async () => {
  const spec = { ...scratch, initContainers: [shell('prepare', 'echo x >> /v/tries; test $(wc -l < /v/tries) -ge 3', atV)] }
  await apply(shellPod('stubborn', 'cat /v/tries; sleep 600', { spec, container: atV }), '--no-wait')
  await until('stubborn', '.status.initContainerStatuses[0].state.waiting.reason', /^CrashLoopBackOff$/)
  expect(await statusOf('stubborn')).toMatch(/0\/1\s+Init:CrashLoopBackOff/)
  expect(await path('stubborn', '.status.phase')).toBe('Pending')
  await until('stubborn', '.status.phase', /^Running$/, 90_000)
  await logHas('stubborn', 'x\nx\nx\n')
})

test('with restartPolicy Never a failed init container fails the pod', async () => {
  const spec = { restartPolicy: 'Never', initContainers: [shell('prepare', 'exit 7')] }
  await tryApply(shellPod('doomed', 'sleep 600', { spec }))
  await until('doomed', '.status.phase', /^Failed$/)
  expect(await statusOf('doomed')).toMatch(/0\/1\s+Init:Error/)
  expect(await path('doomed', '.status.initContainerStatuses[0].state.terminated.exitCode')).toBe('7')
  expect(await path('doomed', first('state.waiting.reason'))).toBe('PodInitializing')
})

test('restartPolicy OnFailure: failures are tried again until one succeeds', async () => {
  const script = 'echo x >> /v/tries; test $(wc -l < /v/tries) -ge 2'
  await apply(shellPod('retry', script, { spec: { ...scratch, restartPolicy: 'OnFailure' }, container: atV }), '--no-wait')
  await until('retry', '.status.phase', /^Succeeded$/, 90_000)
  expect(await path('retry', first('restartCount'))).toBe('1')
  expect(await path('retry', first('lastState.terminated.exitCode'))).toBe('1')
})

test('a deadline ends the pod, and says so', async () => {
  const spec = { activeDeadlineSeconds: 3, restartPolicy: 'Never', terminationGracePeriodSeconds: 1 }
  await apply(shellPod('late', 'sleep 600', { spec }), '--no-wait')
  await until('late', '.status.phase', /^Failed$/)
  expect(await path('late', '.status.reason')).toBe('DeadlineExceeded')
})

test('containers see each other’s processes only when the pod says so', async () => {
  const containers = [shell('a', 'exec sleep 1111'), shell('b', 'exec sleep 2222')]
  await apply(shellPod('apart', '', { spec: { containers } }))
  await apply(shellPod('together', '', { spec: { containers, shareProcessNamespace: true } }))
  expect(ok(await m.ctl('exec', 'apart', '-c', 'b', '--', 'ps'))).not.toContain('sleep 1111')
  const processes = ok(await m.ctl('exec', 'together', '-c', 'b', '--', 'ps'))
  expect(processes).toContain('sleep 1111')
  expect(processes).toContain('sleep 2222')
  ok(await m.ctl('exec', 'together', '-c', 'b', '--', 'sh', '-c', "kill -9 $(ps | awk '/sleep [1]111/ { print $1 }')"))
  await until('together', '.status.containerStatuses[?(@.name=="a")].restartCount', /^1$/)
  expect(await path('together', '.status.containerStatuses[?(@.name=="b")].restartCount')).toBe('0')
  await ctl('delete', 'pod', 'together')
  expect((await m.docker('ps', '-aq', '--filter', 'name=_together_')).stdout).toBe('')
})

test('startup, HTTP and TCP probes', async () => {
  const container = {
    command: ['sh', '-c', 'sleep 3; exec /hello'],
    startupProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1, failureThreshold: 30 },
    livenessProbe: { httpGet: { path: '/', port: 'web' }, periodSeconds: 1, failureThreshold: 1 },
    readinessProbe: { httpGet: { path: '/cgi-bin/index.cgi', port: 8080 }, periodSeconds: 1 },
    ports: [{ name: 'web', containerPort: 8080 }],
  }
  await apply(shellPod('probed', '', { container }))
  expect(await path('probed', first('started'))).toBe('true')
  expect(await path('probed', first('restartCount'))).toBe('0')
  await execIn('probed', 'rm /www/cgi-bin/index.cgi')
  await until('probed', first('restartCount'), /^[1-9]/)
  expect(await ctl('describe', 'pod', 'probed')).toMatch(/Liveness probe failed: HTTP probe failed with statuscode: 404/)
})

test('hooks run: postStart beside the start, preStop before SIGTERM', async () => {
  const container = {
    volumeMounts: [{ name: 'h', mountPath: '/v' }],
    lifecycle: {
      postStart: { exec: { command: ['sh', '-c', 'echo started >> /v/said'] } },
      preStop: { exec: { command: ['sh', '-c', 'echo stopping >> /v/said; sleep 1'] } },
    },
  }
  const volumes = [{ name: 'h', hostPath: { path: `${m.folder}/hooks`, type: 'DirectoryOrCreate' } }]
  const script = "trap 'echo term >> /v/said; exit 0' TERM; while true; do sleep 0.1; done"
  await apply(shellPod('hooked', script, { container, spec: { volumes, terminationGracePeriodSeconds: 10 } }))
  await ctl('delete', 'pod', 'hooked')
  expect(ok(await m.run('cat', [`${m.folder}/hooks/said`]))).toBe('started\nstopping\nterm\n')
})

test('one that does not listen is killed when its grace is over, and at once with --force', async () => {
  const deaf = "trap '' TERM; while true; do sleep 0.1; done"
  await apply(shellPod('deaf', deaf, { spec: { terminationGracePeriodSeconds: 3 } }))
  const started = performance.now()
  await ctl('delete', 'pod', 'deaf')
  const took = performance.now() - started
  expect(took).toBeGreaterThan(2_500)
  expect(took).toBeLessThan(10_000)
  await apply(shellPod('deaf', deaf, { spec: { terminationGracePeriodSeconds: 300 } }))
  await ctl('delete', 'pod', 'deaf', '--grace-period=0', '--force')
  await eventually('its containers are gone', async (tell) => {
    const { stdout } = await m.docker('ps', '-a', '--filter', 'name=_deaf_')
    tell(stdout)
    return stdout.split('\n').length === 2 ? true : undefined
  })
})

test('last words are the termination message', async () => {
  const spec = { restartPolicy: 'Never' }
  await tryApply(shellPod('words', 'echo -n farewell > /dev/termination-log; exit 4', { spec }))
  expect(await path('words', first('state.terminated.message'))).toBe('farewell')
  const container = { terminationMessagePolicy: 'FallbackToLogsOnError' }
  await tryApply(shellPod('log-words', 'echo from the log; exit 4', { spec, container }))
  expect(await path('log-words', first('state.terminated.message'))).toContain('from the log')
})

test('users, groups, capabilities, read-only roots and limits are what the pod asked for', async () => {
  const container = {
    ...atV,
    securityContext: {
      runAsUser: 1234,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
    resources: { limits: { memory: '48Mi', cpu: '250m' }, requests: { cpu: '100m' } },
  }
  const spec = { ...scratch, securityContext: { runAsGroup: 2345, fsGroup: 3456 } }
  await apply(shellPod('modest', 'sleep 600', { spec, container }))
  expect(await execIn('modest', 'id')).toMatch(/uid=1234 gid=2345 groups=2345,3456|uid=1234 gid=2345 groups=3456/)
  expect(await execIn('modest', 'echo x > /v/mine && stat -c %g /v/mine')).toBe('3456\n')
  expect((await m.ctl('exec', 'modest', '--', 'touch', '/x')).stderr).toMatch(/Read-only file system/)
  expect(await execIn('modest', 'grep -E "^(CapEff|NoNewPrivs)" /proc/self/status')).toBe(
    'CapEff:\t0000000000000000\nNoNewPrivs:\t1\n',
  )
  const limits = '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.CpuQuota}} {{.HostConfig.CpuShares}}'
  const { stdout } = await m.docker('inspect', '--format', limits, await containerOf('modest'))
  expect(stdout.trim()).toBe('50331648 50331648 25000 102')
  const refused = await tryApply(
    shellPod('root', 'sleep 600', { container: { securityContext: { runAsNonRoot: true } } }),
    '--no-wait',
  )
  expect(refused.code).toBe(0)
  await until('root', first('state.waiting.reason'), /^CreateContainerConfigError$/)
  expect(await path('root', first('state.waiting.message'))).toContain('runAsNonRoot')
})

test('the kernel’s kill of a child is OOM too, and a plain kill -9 is not', async () => {
  const container = { resources: { limits: { memory: '32Mi' } } }
  const spec = { restartPolicy: 'Never' }
  await apply(shellPod('child', "sh -c 'x=a; while true; do x=$x$x; done'; exit 1", { spec, container }), '--no-wait')
  await apply(shellPod('killed', 'kill -9 $$', { spec, container }), '--no-wait')
  await apply(shellPod('killed-outside', 'sleep 600', { spec, container }))
  ok(await m.docker('kill', await containerOf('killed-outside')))
  await until('child', first('state.terminated.reason'), /^OOMKilled$/)
  expect(await path('child', first('state.terminated.exitCode'))).toBe('1')
  await until('killed-outside', first('state.terminated.reason'), /^Error$/)
  expect(await path('killed-outside', first('state.terminated.exitCode'))).toBe('137')
})

test('a container killed, removed, or without its sandbox comes back; its volumes and its pod stay', async () => {
  await apply(shellPod('survivor', 'echo x >> /v/starts; sleep 600', { spec: scratch, container: atV }))
  const uid = await path('survivor', '.metadata.uid')
  const ip = await path('survivor', '.status.podIP')
  ok(await m.docker('kill', await containerOf('survivor')))
  await until('survivor', first('restartCount'), /^1$/)
  await until('survivor', first('ready'), /^true$/)
  expect(await path('survivor', '.status.podIP')).toBe(ip)
  const old = await containerOf('survivor')
  ok(await m.docker('rm', '-f', old))
  await eventually('another container runs', async (tell) => {
    const id = await containerOf('survivor')
    tell(`${id}\n${await statusOf('survivor')}`)
    return id !== old && (await path('survivor', first('ready'))) === 'true' ? true : undefined
  })
  const before = await containerOf('survivor')
  const { stdout } = await m.docker('ps', '-q', '--filter', `name=^skiff_POD_.*_${uid}_`)
  ok(await m.docker('kill', stdout.trim()))
  await eventually('a new sandbox has a new container', async (tell) => {
    const id = await containerOf('survivor')
    tell(`${id}\n${await statusOf('survivor')}`)
    return id !== before && (await path('survivor', '.status.conditions[?(@.type=="Ready")].status')) === 'True'
      ? true
      : undefined
  })
  expect(await execIn('survivor', 'wc -l < /v/starts')).toBe('4\n')
  expect(await path('survivor', '.metadata.uid')).toBe(uid)
})

test('sub paths, read-only mounts, modes, projections, memory and what is optional', async () => {
  await apply('{apiVersion: v1, kind: ConfigMap, metadata: {name: tree}, data: {a.txt: alpha, b.txt: beta}}')
  await apply('{apiVersion: v1, kind: Secret, metadata: {name: deep}, stringData: {key: hidden}}')
  const volumes = [
    { name: 'sub', configMap: { name: 'tree' } },
    { name: 'items', configMap: { name: 'tree', items: [{ key: 'a.txt', path: 'x/y.txt', mode: 0o440 }] } },
    { name: 'secret', secret: { secretName: 'deep', defaultMode: 0o400 } },
    { name: 'maybe', configMap: { name: 'not-there', optional: true } },
    { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    { name: 'work', emptyDir: {} },
    {
      name: 'all',
      projected: {
        sources: [
          { configMap: { name: 'tree' } },
          { secret: { name: 'deep' } },
          { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
        ],
      },
    },
  ]
  const volumeMounts = [
    { name: 'sub', mountPath: '/etc/only-b', subPath: 'b.txt' },
    { name: 'items', mountPath: '/items' },
    { name: 'secret', mountPath: '/secret' },
    { name: 'maybe', mountPath: '/maybe' },
    { name: 'memory', mountPath: '/memory' },
    { name: 'work', mountPath: '/work', subPath: 'made/on/the/way' },
    { name: 'work', mountPath: '/seen', readOnly: true },
    { name: 'all', mountPath: '/all' },
  ]
  const env = [{ name: 'MAYBE', valueFrom: { configMapKeyRef: { name: 'not-there', key: 'x', optional: true } } }]
  await apply(shellPod('mounts', 'touch /work/file; sleep 600', { spec: { volumes }, container: { volumeMounts, env } }))
  ok(await m.kubectl('label', 'pod', 'mounts', 'tier=front'))
  expect(await execIn('mounts', 'cat /etc/only-b /items/x/y.txt; stat -L -c %a /items/x/y.txt; ls /items')).toBe(
    'betaalpha440\nx\n',
  )
  expect(
    await execIn('mounts', 'stat -L -c %a /secret/key; cat /all/a.txt /all/key; ls /maybe; env | grep -c MAYBE || true'),
  ).toBe('400\nalphahidden0\n')
  expect(await execIn('mounts', 'ls /seen/made/on/the/way; grep " /memory " /proc/mounts')).toMatch(/^file\ntmpfs .*size=1024k/)
  for (const place of ['/seen/x', '/all/x', '/items/x/z'])
    expect((await m.ctl('exec', 'mounts', '--', 'touch', place)).stderr).toMatch(/Read-only file system/)
  await eventually('labels arrive', async (tell) => {
    const text = await execIn('mounts', 'cat /all/labels')
    tell(text)
    return text.includes('tier="front"') ? true : undefined
  })
})

test('host names, host aliases, the host’s network and host ports', async () => {
  const spec = { hostname: 'other', hostAliases: [{ ip: '192.0.2.77', hostnames: ['friend'] }] }
  await apply(shellPod('named', 'hostname; cat /etc/hosts; cat /etc/resolv.conf; sleep 600', { spec }))
  const log = await logHas('named', /friend/)
  expect(log).toMatch(/^other\n/)
  expect(log).toMatch(/192\.0\.2\.77\s+friend/)
  const container = {
    command: ['/hello'],
    env: [
      { name: 'PORT', value: '8099' },
      { name: 'POD_NAME', value: 'on-host' },
    ],
  }
  await apply(shellPod('on-host', '', { spec: { hostNetwork: true }, container }))
  expect(await path('on-host', '.status.podIP')).toBe(await path('on-host', '.status.hostIP'))
  await answers('http://127.0.0.1:8099/', 'this is pod on-host')
  const ports = [{ containerPort: 8080, hostPort: 31998 }]
  await apply(shellPod('mapped', '', { container: { command: ['/hello'], ports } }))
  for (const host of ['127.0.0.1', '192.0.2.10']) await answers(`http://${host}:31998/`, 'this is pod mapped')
  await ctl('delete', 'pod', 'mapped')
  await apply(shellPod('mapped-again', '', { container: { command: ['/hello'], ports } }))
  await answers('http://192.0.2.10:31998/', 'this is pod mapped-again')
})

test('exec gives input, output and exit code; logs follow, and keep their order', async () => {
  await apply(shellPod('talk', 'i=0; while [ $i -lt 20 ]; do echo line $i; i=$((i+1)); sleep 0.1; done; sleep 600'))
  expect((await m.ctl('exec', 'talk', '--', 'sh', '-c', 'exit 42')).code).toBe(42)
  const echoed = await m.run(process.execPath, [ctlProgram, 'exec', '-i', 'talk', '--', 'cat'], {
    input: 'there and back\n',
  })
  expect(echoed).toMatchObject({ code: 0, stdout: 'there and back\n' })
  const follower = m.spawn(process.execPath, [ctlProgram, 'logs', '-f', 'talk'])
  let followed = ''
  follower.stdout?.on('data', (data: Buffer) => {
    followed += data.toString()
  })
  await eventually('the last line', async (tell) => {
    tell(followed)
    return followed.includes('line 19\n') ? true : undefined
  })
  expect(followed).toBe(Array.from({ length: 20 }, (_, i) => `line ${i}\n`).join(''))
  const ended = new Promise((resolve) => follower.once('exit', resolve))
  await ctl('delete', 'pod', 'talk')
  expect(await Promise.race([ended, sleep(10_000, 'goes on')])).toBe(0)
})

test('an environment name that is none is skipped and told; a missing key is named', async () => {
  await apply('{apiVersion: v1, kind: ConfigMap, metadata: {name: odd}, data: {1.bad: x, GOOD: fine}}')
  await apply(shellPod('odd', 'env; sleep 600', { container: { envFrom: [{ configMapRef: { name: 'odd' } }] } }))
  await logHas('odd', 'GOOD=fine')
  const env = [{ name: 'A', valueFrom: { secretKeyRef: { name: 'deep', key: 'no-such-key' } } }]
  await apply(shellPod('keyless', 'sleep 600', { container: { env } }), '--no-wait')
  await until('keyless', first('state.waiting.message'), /couldn't find key no-such-key in Secret default\/deep/)
  await apply('{apiVersion: v1, kind: Secret, metadata: {name: deep}, stringData: {no-such-key: now}}')
  await until('keyless', '.status.phase', /^Running$/)
})

test('a changed image of a running pod restarts its container only', async () => {
  ok(await m.docker('tag', 'skiff/hello:1', 'skiff/hello:2'))
  const spec = { containers: [shell('a', 'sleep 600'), shell('b', 'sleep 600')] }
  await apply(shellPod('fresh', '', { spec }))
  ok(await m.kubectl('patch', 'pod', 'fresh', '-p', '{"spec":{"containers":[{"name":"a","image":"skiff/hello:2"}]}}'))
  await until('fresh', '.status.containerStatuses[?(@.name=="a")].image', /hello:2$/)
  await until('fresh', '.status.containerStatuses[?(@.name=="a")].ready', /^true$/)
  expect(await path('fresh', '.status.containerStatuses[?(@.name=="a")].restartCount')).toBe('1')
  expect(await path('fresh', '.status.containerStatuses[?(@.name=="b")].restartCount')).toBe('0')
})

test('a host port that a program of the node holds is told, and taken when it is free', async () => {
  const holder = m.spawn(process.execPath, ['-e', "require('net').createServer().listen(31777, () => console.log('up'))"])
  await new Promise((resolve) => holder.stdout?.once('data', resolve))
  try {
    await apply(shellPod('taken', 'sleep 600', { container: { ports: [{ containerPort: 80, hostPort: 31777 }] } }), '--no-wait')
    await eventually('the event', async (tell) => {
      const text = await ctl('events', '--for', 'pod/taken')
      tell(text)
      return /FailedCreatePodSandBox\s.*host port 31777\/TCP is already in use/.test(text) ? true : undefined
    })
    expect(await path('taken', '.status.phase')).toBe('Pending')
  } finally {
    holder.kill()
  }
  await until('taken', '.status.phase', /^Running$/)
})

test('a pod is deleted while it is still on its way', async () => {
  await apply(shellPod('early', 'x', { spec: { initContainers: [shell('long', 'exec sleep 600')] } }), '--no-wait')
  await until('early', '.status.initContainerStatuses[0].state.running.startedAt', /./)
  expect(await statusOf('early')).toMatch(/0\/1\s+Init:0\/1/)
  await apply(shellPod('nowhere', 'x', { container: { image: '192.0.2.99:5000/nothing:1' } }), '--no-wait')
  await ctl('delete', 'pods', 'early', 'nowhere')
  expect((await m.docker('ps', '-aq', '--filter', 'name=_early_')).stdout).toBe('')
})

test('a long log comes whole', async () => {
  const lines = 50_000
  await apply(shellPod('long', `i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); done; echo end; sleep 600`))
  await logHas('long', /^end$/m, '--tail=1')
  const started = performance.now()
  const log = await ctl('logs', 'long')
  expect(performance.now() - started).toBeLessThan(15_000)
  expect(log).toBe(`${Array.from({ length: lines }, (_, i) => `line ${i}\n`).join('')}end\n`)
})

test('without the control plane a crashed container is started again, and that is told later', async () => {
  await apply(shellPod('alone', 'echo x >> /v/starts; sleep 600', { spec: scratch, container: atV }))
  const id = await containerOf('alone')
  const [pid = ''] = ok(await m.run('cat', [`${m.dataDir}/run/controlplane.pid`])).split(' ')
  expect(pid).toMatch(/^\d+$/)
  process.kill(Number(pid), 'SIGKILL')
  ok(await m.docker('kill', id))
  await eventually('it runs again', async (tell) => {
    const filters = ['--filter', 'label=io.skiff.pod-name=alone', '--filter', 'label=io.skiff.role=app']
    const { stdout } = await m.docker('ps', '--no-trunc', '-q', ...filters)
    tell(stdout)
    return stdout !== '' && !stdout.includes(id) ? true : undefined
  })
  ok(await m.ctl('up'))
  await until('alone', first('restartCount'), /^1$/)
  expect(await execIn('alone', 'cat /v/starts')).toBe('x\nx\n')
})

test('nothing of a deleted pod is left on the node', async () => {
  await ctl('delete', 'pods', '--all', '--grace-period=1')
  const left = ok(await m.docker('ps', '-a', '--format', '{{.Names}}')).split('\n')
  // Sandboxes for pods to come.
  expect(left.filter((name) => name !== '' && !name.startsWith('skiff_POD_spare__'))).toEqual([])
  await eventually('folders and links are gone', async (tell) => {
    const pods = (await m.run('ls', [`${m.dataDir}/agent/pods`])).stdout
    const spares = ok(await m.docker('ps', '-aq', '--filter', 'name=skiff_POD_spare__')).split('\n')
    const links = (await m.run('ip', ['-o', 'link', 'show', 'type', 'veth'])).stdout
    const mounts = (await m.run('grep', [`${m.dataDir}/`, '/proc/mounts'])).stdout
    tell(`${pods}\n${links}\n${mounts}`)
    return pods === '' &&
      mounts === '' &&
      links
        .split('\n')
        .filter((line) => !/eth0/.test(line) && !spares.some((id) => id !== '' && line.includes(`skv${id}`)))
        .join('') === ''
      ? true
      : undefined
  })
})
