import { expect, test } from 'vitest'
import { DescribeWriter, readableTime } from './writer.ts'

const written = (build: (w: DescribeWriter) => void): string => {
  const w = new DescribeWriter()
  build(w)
  return w.toString()
}

test('neighbours are aligned, and a line without a tab ends their column', () => {
  const text = written((w) => {
    w.field('Name', 'web')
    w.field('Namespace', '')
    w.section('Containers', () => w.field('A long label', 'x'))
    w.field('IP', '10.0.0.1')
  })
  expect(text).toBe('Name:       web\nNamespace:  <none>\nContainers:\n  A long label:  x\nIP:              10.0.0.1\n')
})

test('lists and maps stand beside their label, one entry a line', () => {
  const text = written((w) => {
    w.map('Labels', { b: '2', a: '1' })
    w.list('Taints', [])
  })
  expect(text).toBe('Labels:  a=1\n         b=2\nTaints:  <none>\n')
})

test('a table has its header underlined, and an empty one is <none>', () => {
  expect(written((w) => w.table('Conditions', ['Type', 'Status'], [['Ready', 'True']]))).toBe(
    'Conditions:\n  Type   Status\n  ----   ------\n  Ready  True\n',
  )
  expect(written((w) => w.table('Events', ['Type'], []))).toBe('Events:  <none>\n')
})

test('times are written out', () => {
  expect(readableTime('2026-11-25T13:44:57Z')).toBe('Wed, 25 Nov 2026 13:44:57 +0000')
  expect(readableTime(undefined)).toBe('<unset>')
})
