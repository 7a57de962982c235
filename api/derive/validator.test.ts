import { expect, test } from 'vitest'
import { Pod } from '../kinds/pod.ts'
import { ReplicaSet } from '../kinds/replica-set.ts'
import { compileAhead, validatorOf } from './validator.ts'

const pod = (containers: unknown) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers } })

test('schemas are compiled ahead in many pieces, and those that kinds share once', async () => {
  let pieces = 0
  const pause = async (): Promise<void> => void pieces++
  await compileAhead([Pod], pause)
  const ofPod = pieces
  expect(ofPod).toBeGreaterThan(20)
  await compileAhead([ReplicaSet], pause)
  expect(pieces - ofPod).toBeLessThan(10)
  const validate = validatorOf(Pod)
  expect(validate(pod([{ name: 'c', image: 'i' }]))).toBe(true)
  expect(validate(pod([{ name: 'c', image: 'i', ports: [{ containerPort: 'x' }] }]))).toBe(false)
  expect(validate.errors?.map(({ instancePath }) => instancePath)).toEqual(['/spec/containers/0/ports/0/containerPort'])
  expect(validatorOf(Pod)).toBe(validate)
})
