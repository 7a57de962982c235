import { expect, test } from 'vitest'
import type { Node, Taint } from '../../../api/kinds/node.ts'
import { wantedTaints } from './plan.ts'

const full: Taint = { key: 'node.kubernetes.io/disk-pressure', effect: 'NoSchedule' }
const own: Taint = { key: 'mine', effect: 'NoSchedule' }
const node = (disk: 'True' | 'False' | 'Unknown', taints: readonly Taint[]): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n' },
  spec: { taints },
  status: {
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'DiskPressure', status: disk },
    ],
  },
})

test('a node whose disk is nearly full gets no new pods, until it has room again', () => {
  expect(wantedTaints(node('True', [own]), true, 0)).toEqual([own, full])
  expect(wantedTaints(node('True', [own, full]), true, 0)).toBeUndefined()
  expect(wantedTaints(node('Unknown', [own, full]), true, 0)).toBeUndefined()
  expect(wantedTaints(node('False', [own, full]), true, 0)).toEqual([own])
  expect(wantedTaints(node('False', [own]), true, 0)).toBeUndefined()
})
