// A cluster without nodes on an empty memory store, to try clients by hand:
//   node controlplane/testing/run-dev-server.ts PORT KUBECONFIG
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { aborted } from '../../lib/async.ts'
import { jsonLog } from '../../lib/log.ts'
import { rootSignal } from '../../lib/process.ts'
import { kubeconfig } from '../pki/kubeconfig.ts'
import { createServedWorld } from './served-world.ts'

const [, , port = '0', file = 'kubeconfig'] = process.argv
const signal = rootSignal(jsonLog('info'))
await using served = await createServedWorld({ port: Number(port) })
await writeFile(file, kubeconfig({ server: served.url, ca: served.ca, ...served.admin }), { mode: 0o600 })
await aborted(signal)
