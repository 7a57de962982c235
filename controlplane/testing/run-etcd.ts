// A control plane that owns an etcd and nothing else, to be killed by a test.
import process from 'node:process'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { etcdProcess } from '../etcd-process/etcd-process.ts'
import { testEtcdFiles } from './etcd-files.ts'

const [binary = '', dataFolder = '', clientPort, peerPort] = process.argv.slice(2)
const { files, client } = await testEtcdFiles(dataFolder)
const ports = { clientPort: Number(clientPort), peerPort: Number(peerPort) }
const etcd = etcdProcess({ binary, dataFolder, ...ports, files, client, clock: systemClock, log: silentLog })
const { signal } = new AbortController()
const running = etcd.run(signal)
await etcd.waitReady({ signal })
process.stdout.write('ready\n')
await running
