import { expect, test } from 'vitest'
import { parseKubeconfig } from './kubeconfig.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const config = `
apiVersion: v1
kind: Config
current-context: main
clusters:
- name: c
  cluster: { server: "https://127.0.0.1:6443/", certificate-authority-data: ${base64('CA')} }
users:
- name: u
  user: { client-certificate: certs/u.crt, client-key-data: ${base64('KEY')} }
- name: plugin
  user: { exec: { command: aws } }
contexts:
- name: main
  context: { cluster: c, user: u, namespace: web }
- name: other
  context: { cluster: c, user: plugin }
- name: broken
  context: { cluster: nowhere, user: u }
`

test('the current context is read, with certificates inline or from files beside the kubeconfig', () => {
  const readFile = (path: string): string => `content of ${path}`
  expect(parseKubeconfig(config, { file: '/home/x/.kube/config', readFile })).toEqual({
    server: 'https://127.0.0.1:6443',
    ca: 'CA',
    cert: 'content of /home/x/.kube/certs/u.crt',
    key: 'KEY',
    namespace: 'web',
    context: 'main',
  })
})

test.each([
  [config, 'missing', 'contexts: there is no entry "missing"'],
  [config, 'broken', 'clusters: there is no entry "nowhere"'],
  [config, 'other', 'users: "plugin": exec is not supported'],
  ['a: [', undefined, 'not YAML'],
  ['[]', undefined, 'is no kubeconfig'],
  ['{}', undefined, 'current-context is not set'],
  [config, 'main', 'client-certificate: no such file'],
])('a wrong one is refused with the entry that is wrong (case %#)', (text, context, message) => {
  const readFile = (): string => {
    throw new Error('no such file')
  }
  const read = () => parseKubeconfig(text, { file: '/k', readFile, ...(context === undefined ? {} : { context }) })
  expect(read).toThrow(message)
  expect(read).toThrow('/k: ')
})
