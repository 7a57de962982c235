import { constants } from 'node:fs'
import { access, mkdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import type { FlagValues } from '../flags.ts'
import { int, text } from '../flags.ts'
import { UserError } from '../output.ts'
import type { Installation } from './paths.ts'

/** What `up` can be told; kept, so that the next `up` starts the same. */
export const settingFlags = {
  nodeName: text({ value: 'name', help: 'Name of this node; the host name when not given' }),
  apiPort: int({ help: 'Port of the API server (6443)' }),
  gatewayPort: int({ help: 'Port that agents dial (6444)' }),
  etcdEndpoints: text({ value: 'urls', help: 'An etcd of your own, as in https://10.0.0.1:2379; otherwise one is run here' }),
  etcdCa: text({ value: 'file', help: 'CA of your own etcd' }),
  etcdCert: text({ value: 'file', help: 'Client certificate for your own etcd' }),
  etcdKey: text({ value: 'file', help: 'Key of that certificate' }),
  etcdPort: int({ help: 'Port of the etcd that is run here (6445; the next one is for its peers)' }),
  dockerHost: text({ value: 'url', help: 'The Docker Engine (unix:///var/run/docker.sock)' }),
  clusterCidr: text({ value: 'cidr', help: 'Addresses of pods (10.42.0.0/16)' }),
  serviceCidr: text({ value: 'cidr', help: 'Addresses of services (10.43.0.0/16)' }),
  bridge: text({ value: 'name', help: 'Name of the network bridge (skiff0)' }),
} as const

type Environment = Readonly<Record<string, string | undefined>>

export interface Settings {
  readonly nodeName: string
  readonly apiPort: number
  readonly gatewayPort: number
  readonly etcdEndpoints: string
  readonly etcdCa: string
  readonly etcdCert: string
  readonly etcdKey: string
  readonly etcdPort: number
  readonly dockerHost: string
  readonly clusterCidr: string
  readonly serviceCidr: string
  readonly bridge: string
}

const defaults = (env: Environment): Settings => ({
  nodeName: hostname().toLowerCase(),
  apiPort: 6443,
  gatewayPort: 6444,
  etcdEndpoints: '',
  etcdCa: '',
  etcdCert: '',
  etcdKey: '',
  etcdPort: 6445,
  dockerHost: env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock',
  clusterCidr: '10.42.0.0/16',
  serviceCidr: '10.43.0.0/16',
  bridge: 'skiff0',
})

/** What was kept, with what is given now on top. */
export async function settle(at: Installation, flags: FlagValues<typeof settingFlags>, env: Environment): Promise<Settings> {
  const kept = await readSettings(at, env)
  const given = Object.fromEntries(Object.entries(flags).filter(([name, value]) => name in settingFlags && value !== undefined))
  const settings: Settings = { ...(kept ?? defaults(env)), ...given, ...(await etcdFiles(flags)) }
  await mkdir(at.dataDir, { recursive: true, mode: 0o700 })
  await writeFile(at.settingsFile, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 })
  return settings
}

/** The control plane runs in another folder, and what is kept must be good for the next time too. */
async function etcdFiles(flags: FlagValues<typeof settingFlags>): Promise<Partial<Settings>> {
  const files: Record<string, string> = {}
  for (const name of ['etcdCa', 'etcdCert', 'etcdKey'] as const) {
    const given = flags[name]
    if (given === undefined || given === '') continue
    const file = resolve(given)
    await access(file, constants.R_OK).catch(() => {
      throw new UserError(`error: --${name.replace('etcd', 'etcd-').toLowerCase()}: cannot read "${file}"`)
    })
    files[name] = file
  }
  return files
}

export async function readSettings(at: Installation, env: Environment): Promise<Settings | undefined> {
  const text = await readFile(at.settingsFile, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return { ...defaults(env), ...(JSON.parse(text) as Partial<Settings>) }
  } catch {
    return undefined // Half-written by a crash: the defaults, and the flags of this call.
  }
}
