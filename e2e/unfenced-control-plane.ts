// A planted bug as a program: a control plane that never notices that it leads no longer, whose writes reach etcd
// without the fence that they carry, and that tells nodes its epoch although they have obeyed a newer one. Tests prove
// with it that they would see such a thing.
import { EtcdStore } from '../controlplane/store/etcd.ts'
import { Incarnation } from '../controlplane/store/incarnation.ts'
import type { Condition } from '../controlplane/store/store.ts'

const { commit, campaign } = EtcdStore.prototype
const isFence = (one: Condition): boolean => 'createRevision' in one
EtcdStore.prototype.commit = function (transaction, opts) {
  return commit.call(this, { ...transaction, conditions: transaction.conditions.filter((one) => !isFence(one)) }, opts)
}
EtcdStore.prototype.campaign = async function (options) {
  return { ...(await campaign.call(this, options)), lost: new AbortController().signal }
}
Incarnation.prototype.lift = async () => undefined
await import('../controlplane/main.ts')
