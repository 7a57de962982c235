import { controllerOf } from '../../../api/meta/object-meta.ts'
import { definePlugin } from './plugin.ts'

/** Rather where fewest pods of the same owner stand. */
export const spreadOwner = definePlugin<string | undefined>({
  name: 'SpreadOwner',
  prepare: (pod) => controllerOf(pod)?.uid,
  scores: (owner) => owner !== undefined,
  score: (owner, node) => (owner === undefined ? 0 : (node.owners.get(owner) ?? 0)),
  scale: 'inverse',
  weight: 2,
})
