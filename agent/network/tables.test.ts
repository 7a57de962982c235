import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ServiceEntry, ServicePort, ServiceTable } from '../../api/proto/agent.ts'
import { parseSave, renderAll } from './restore.ts'
import { buildTables, type Tables, type TablesOptions } from './tables.ts'

const nothing = parseSave('')
const options: TablesOptions = {
  nodeName: 'n1',
  bridge: 'skiff0',
  podCidr: '10.85.3.0/24',
  clusterCidr: '10.85.0.0/16',
  hostPorts: [],
}

function port(more: Partial<ServicePort> = {}): ServicePort {
  const endpoints = [
    { ip: '10.85.3.2', port: 8080, node: 'n1' },
    { ip: '10.85.4.2', port: 8080, node: 'n2' },
    { ip: '10.85.4.3', port: 8080, node: 'n2' },
  ]
  return { name: 'http', protocol: 'TCP', port: 80, nodePort: 0, endpoints, ...more }
}
function entry(more: Partial<ServiceEntry> = {}): ServiceEntry {
  return {
    key: 'default/web',
    clusterIp: '10.96.0.10',
    ports: [port()],
    clientIpAffinity: false,
    affinityTimeoutSeconds: 0,
    externalLocal: false,
    internalLocal: false,
    ...more,
  }
}
const table = (...services: ServiceEntry[]): ServiceTable => ({ revision: 1n, services })
const render = (services: ServiceTable, more: Partial<TablesOptions> = {}) =>
  renderAll(nothing, buildTables(services, { ...options, ...more }))
const golden = (name: string) => join(import.meta.dirname, 'golden', `${name}.txt`)

test.each<[string, ServiceTable, Partial<TablesOptions>]>([
  ['no-services', table(), {}],
  ['cluster-ip', table(entry()), {}],
  ['node-port', table(entry({ ports: [port({ nodePort: 30_080 })] })), {}],
  ['client-affinity', table(entry({ clientIpAffinity: true, affinityTimeoutSeconds: 600 })), {}],
  [
    'no-endpoints',
    table(
      entry({
        ports: [port({ nodePort: 30_080, endpoints: [] }), port({ name: 'dns', protocol: 'UDP', port: 53, endpoints: [] })],
      }),
    ),
    {},
  ],
  ['external-local', table(entry({ externalLocal: true, ports: [port({ nodePort: 30_080 })] })), {}],
  ['external-local-elsewhere', table(entry({ externalLocal: true, ports: [port({ nodePort: 30_080 })] })), { nodeName: 'n9' }],
  ['internal-local', table(entry({ internalLocal: true, ports: [port({ nodePort: 30_080 })] })), {}],
  ['internal-local-elsewhere', table(entry({ internalLocal: true })), { nodeName: 'n9' }],
  [
    'host-ports',
    table(),
    {
      hostPorts: [
        {
          ip: '10.85.3.2',
          ports: [
            { protocol: 'TCP', hostIp: undefined, hostPort: 8080, containerPort: 80 },
            { protocol: 'UDP', hostIp: '192.0.2.7', hostPort: 53, containerPort: 5353 },
          ],
        },
      ],
    },
  ],
])('the rules of %s', async (name, services, more) => {
  await expect(render(services, more)).toMatchFileSnapshot(golden(name))
})

test('a service that the kernel would refuse is left out, the others stay', () => {
  const bad = [
    entry({ key: 'default/a', clusterIp: 'None' }),
    entry({ key: 'default/b', ports: [port({ port: 0 })] }),
    entry({ key: 'default/c', ports: [port({ protocol: 'SCTP' })] }),
    entry({ key: 'default/d', ports: [port({ endpoints: [{ ip: 'fe80::1', port: 1, node: 'n1' }] })] }),
  ]
  const text = render(table(...bad, entry()))
  expect(text).not.toMatch(/None|SCTP|fe80|default\/[abc]:/i)
  expect(text).toContain('--comment "default/web:http" -j SKIFF-SVC-')
})

test('nothing in a name can break out of the comment', () => {
  expect(render(table(entry({ key: 'default/web" -j ACCEPT\n-A INPUT' })))).not.toMatch(/ACCEPT\n-A INPUT|" -j ACCEPT/)
})

const anyEntry = fc.record({
  key: fc.constantFrom('a/x', 'a/y', 'b/x', 'b/y'),
  clusterIp: fc.constantFrom('10.96.0.1', '10.96.0.2', '10.96.0.3'),
  ports: fc.array(
    fc.record({
      name: fc.constantFrom('', 'http', 'dns'),
      protocol: fc.constantFrom('TCP', 'UDP'),
      port: fc.integer({ min: 1, max: 65_535 }),
      nodePort: fc.constantFrom(0, 30_000, 30_001),
      endpoints: fc.uniqueArray(
        fc.record({
          ip: fc.constantFrom('10.85.3.2', '10.85.3.3', '10.85.4.2'),
          port: fc.constantFrom(80, 81),
          node: fc.constantFrom('n1', 'n2'),
        }),
        { maxLength: 5, selector: ({ ip, port: number }) => `${ip}:${number}` },
      ),
    }),
    { maxLength: 3 },
  ),
  clientIpAffinity: fc.boolean(),
  affinityTimeoutSeconds: fc.constantFrom(0, 60),
  externalLocal: fc.boolean(),
  internalLocal: fc.boolean(),
})

const targetsOf = (tables: Tables, name: keyof Tables): readonly string[] =>
  [...tables[name].values()].flat().flatMap((rule) => /-j (SKIFF-\S+)/.exec(rule)?.[1] ?? [])

test('every chain that a rule leads to is there, no chain is left unused, and names fit the kernel', () => {
  const entries = fc.uniqueArray(anyEntry, { selector: ({ key }) => key, maxLength: 4 })
  fc.assert(
    fc.property(entries, (services) => {
      const tables = buildTables(table(...services), options)
      for (const name of ['nat', 'filter'] as const) {
        const targets = new Set(targetsOf(tables, name))
        for (const target of targets) expect(tables[name].has(target), target).toBe(true)
        for (const chain of tables[name].keys()) {
          expect(chain.length).toBeLessThanOrEqual(28)
          if (/-(SVC|SVL|SEP|EXT)-/.test(chain)) expect(targets.has(chain), chain).toBe(true)
        }
      }
    }),
  )
})

test('each endpoint gets the same share', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), (count) => {
      const endpoints = Array.from({ length: count }, (_, index) => ({ ip: `10.85.3.${index + 2}`, port: 80, node: 'n1' }))
      const { nat } = buildTables(table(entry({ ports: [port({ endpoints })] })), options)
      const rules = [...nat].find(([chain]) => chain.startsWith('SKIFF-SVC-'))?.[1].slice(1) ?? []
      let left = 1
      for (const rule of rules) {
        const chance = Number(/--probability (\S+)/.exec(rule)?.[1] ?? 1)
        expect(left * chance).toBeCloseTo(1 / count, 6)
        left *= 1 - chance
      }
      expect(rules).toHaveLength(count)
    }),
  )
})
