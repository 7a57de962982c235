import { expect, test } from 'vitest'
import { ServiceEntry } from '../../api/proto/agent.ts'
import { serviceEnv } from './service-env.ts'

const entry = (key: string, clusterIp: string, ports: readonly [name: string, port: number, protocol?: string][]): ServiceEntry =>
  ServiceEntry.fromPartial({
    key,
    clusterIp,
    ports: ports.map(([name, port, protocol = 'TCP']) => ({ name, port, protocol })),
  })

const kubernetes = entry('default/kubernetes', '10.43.0.1', [['https', 443]])
const table = [
  kubernetes,
  entry('shop/redis-primary', '10.43.0.11', [['', 6379]]),
  entry('shop/dns', '10.43.0.53', [
    ['dns-udp', 53, 'UDP'],
    ['metrics', 9153],
  ]),
  entry('other/web', '10.43.0.20', [['', 80]]),
]

test('a pod finds the services of its namespace and the API in its environment', () => {
  expect(serviceEnv(table, { namespace: 'shop', links: true })).toEqual({
    KUBERNETES_SERVICE_HOST: '10.43.0.1',
    KUBERNETES_SERVICE_PORT: '443',
    KUBERNETES_SERVICE_PORT_HTTPS: '443',
    KUBERNETES_PORT: 'tcp://10.43.0.1:443',
    KUBERNETES_PORT_443_TCP: 'tcp://10.43.0.1:443',
    KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
    KUBERNETES_PORT_443_TCP_PORT: '443',
    KUBERNETES_PORT_443_TCP_ADDR: '10.43.0.1',
    REDIS_PRIMARY_SERVICE_HOST: '10.43.0.11',
    REDIS_PRIMARY_SERVICE_PORT: '6379',
    REDIS_PRIMARY_PORT: 'tcp://10.43.0.11:6379',
    REDIS_PRIMARY_PORT_6379_TCP: 'tcp://10.43.0.11:6379',
    REDIS_PRIMARY_PORT_6379_TCP_PROTO: 'tcp',
    REDIS_PRIMARY_PORT_6379_TCP_PORT: '6379',
    REDIS_PRIMARY_PORT_6379_TCP_ADDR: '10.43.0.11',
    DNS_SERVICE_HOST: '10.43.0.53',
    DNS_SERVICE_PORT: '53',
    DNS_SERVICE_PORT_DNS_UDP: '53',
    DNS_SERVICE_PORT_METRICS: '9153',
    DNS_PORT: 'udp://10.43.0.53:53',
    DNS_PORT_53_UDP: 'udp://10.43.0.53:53',
    DNS_PORT_53_UDP_PROTO: 'udp',
    DNS_PORT_53_UDP_PORT: '53',
    DNS_PORT_53_UDP_ADDR: '10.43.0.53',
    DNS_PORT_9153_TCP: 'tcp://10.43.0.53:9153',
    DNS_PORT_9153_TCP_PROTO: 'tcp',
    DNS_PORT_9153_TCP_PORT: '9153',
    DNS_PORT_9153_TCP_ADDR: '10.43.0.53',
  })
})

test('without service links only the API is told', () => {
  const env = serviceEnv(table, { namespace: 'shop', links: false })
  expect(Object.keys(env).every((name) => name.startsWith('KUBERNETES_'))).toBe(true)
  expect(env).toMatchObject({ KUBERNETES_SERVICE_HOST: '10.43.0.1' })
})

test('a service of the own namespace goes before the API that has the same name', () => {
  const own = entry('shop/kubernetes', '10.43.9.9', [['', 80]])
  expect(serviceEnv([kubernetes, own], { namespace: 'shop', links: true })['KUBERNETES_SERVICE_HOST']).toBe('10.43.9.9')
  expect(serviceEnv([own], { namespace: 'default', links: true })).toEqual({})
})
