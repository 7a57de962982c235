/** What the control plane said about this node's place in the cluster. Empty: never said. */
export interface NodeNetwork {
  readonly podCidr: string
  readonly serviceCidr: string
  readonly clusterCidr: string
}

/** How far the agent has followed the control plane: kept on disk beside the pods. */
export interface Position {
  readonly clusterUid: string
  /** Of the control plane's store. Empty: it has not said so. */
  readonly incarnation: string
  /** Highest epoch obeyed. */
  readonly epoch: bigint
  /** The store's revision of the last set. undefined: not known, so that no omission counts as a removal. */
  readonly revision: bigint | undefined
  readonly resultsIn: string
  readonly network: NodeNetwork
  /** Pods that the control plane said are gone, until nothing is left of them here. */
  readonly removed: readonly string[]
  /** Pods that a restored or unknown control plane did not list: they go on running until it names them. */
  readonly kept: readonly string[]
  /** Nobody has looked yet which pods there were when this was forgotten. Absent: nothing was. */
  readonly mustSpare?: boolean
  /** Fingerprints of the pods and configs that belong to `resultsIn`, by file. Absent: not known. */
  readonly files?: Readonly<Record<string, string>> | undefined
}

export const unknownPosition: Position = {
  clusterUid: '',
  incarnation: '',
  epoch: 0n,
  revision: undefined,
  resultsIn: '',
  network: { podCidr: '', serviceCidr: '', clusterCidr: '' },
  removed: [],
  kept: [],
}

export function formatPosition(position: Position): string {
  return JSON.stringify({
    version: 1,
    ...position,
    epoch: String(position.epoch),
    revision: position.revision === undefined ? undefined : String(position.revision),
  })
}

/** Throws on anything that `formatPosition` did not write. */
export function parsePosition(text: string): Position {
  const raw: unknown = JSON.parse(text)
  if (!isRecord(raw) || raw['version'] !== 1) throw new Error('not a checkpoint of version 1')
  const network = raw['network']
  if (!isRecord(network)) throw new Error('network is missing')
  return {
    clusterUid: textOf(raw, 'clusterUid'),
    incarnation: raw['incarnation'] === undefined ? '' : textOf(raw, 'incarnation'), // Older agents did not know of it.
    epoch: BigInt(textOf(raw, 'epoch')),
    revision: raw['revision'] === undefined ? undefined : BigInt(textOf(raw, 'revision')),
    resultsIn: textOf(raw, 'resultsIn'),
    network: {
      podCidr: textOf(network, 'podCidr'),
      serviceCidr: textOf(network, 'serviceCidr'),
      clusterCidr: textOf(network, 'clusterCidr'),
    },
    removed: textsOf(raw, 'removed'),
    kept: textsOf(raw, 'kept'),
    mustSpare: raw['mustSpare'] === true,
    files: isRecord(raw['files'])
      ? Object.fromEntries(Object.entries(raw['files']).map(([name, print]) => [name, String(print)]))
      : undefined,
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function textOf(record: Readonly<Record<string, unknown>>, field: string): string {
  const value = record[field]
  if (typeof value !== 'string') throw new Error(`${field} is not text`)
  return value
}

function textsOf(record: Readonly<Record<string, unknown>>, field: string): readonly string[] {
  const value = record[field]
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    throw new Error(`${field} is not a list of texts`)
  return value
}
