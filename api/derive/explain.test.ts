import { expect, test } from 'vitest'
import { Deployment } from '../kinds/deployment.ts'
import { Pod } from '../kinds/pod.ts'
import { explain, NoSuchField } from './explain.ts'

test('a kind is explained with its fields', () => {
  const text = explain(Deployment, [], { recursive: false })
  expect(text).toMatch(/^GROUP: {6}apps\nKIND: {7}Deployment\nVERSION: {4}v1\n/)
  expect(text).toContain('spec\t<DeploymentSpec>')
})

test('a field below lists is explained with its type', () => {
  const text = explain(Pod, ['spec', 'containers', 'livenessProbe'], { recursive: false })
  expect(text).toContain('FIELD: livenessProbe <Probe>')
  expect(text).toContain('periodSeconds\t<integer>')
})

test('recursively all fields are listed', () => {
  expect(explain(Pod, ['spec'], { recursive: true })).toContain('      fieldPath\t<string>')
})

test('a field that does not exist is named with what it was looked for in', () => {
  expect(() => explain(Pod, ['spec', 'contaners'], { recursive: false })).toThrow(NoSuchField)
  expect(() => explain(Pod, ['spec', 'contaners'], { recursive: false })).toThrow('field "contaners" does not exist in pods.spec')
})
