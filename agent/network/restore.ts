import { type Chains, chainPrefix, type Jump, jumps, type TableName, type Tables } from './tables.ts'

/** What the packet filter holds of ours: number of rules by chain, and which jumps lead there. */
export interface Observed {
  readonly nat: ReadonlyMap<string, number>
  readonly filter: ReadonlyMap<string, number>
  /** Whole lines of the rules outside our chains that lead into them. */
  readonly jumps: readonly { readonly table: TableName; readonly from: string; readonly to: string; readonly line: string }[]
}

export const tableNames: readonly TableName[] = ['nat', 'filter']

/** Reads the output of `iptables-save`, of one table or of several. */
export function parseSave(text: string): Observed {
  const counts = { nat: new Map<string, number>(), filter: new Map<string, number>() }
  const found: { table: TableName; from: string; to: string; line: string }[] = []
  let table: TableName | undefined
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = tableNames.find((name) => line === `*${name}`)
    if (table === undefined) continue
    const chain = /^(?::|-A )(\S+)/.exec(line)?.[1]
    if (chain?.startsWith(chainPrefix)) {
      counts[table].set(chain, (counts[table].get(chain) ?? 0) + (line.startsWith('-A') ? 1 : 0))
      continue
    }
    const jump = /^-A (\S+) .*-j (SKIFF-\S+)$/.exec(line)
    if (jump !== null) found.push({ table, from: jump[1] ?? '', to: jump[2] ?? '', line })
  }
  return { ...counts, jumps: found }
}

/** Whether the filter still holds what was written: somebody else may have flushed it. */
export function isIntact(observed: Observed, tables: Tables): boolean {
  if (missingJumps(observed).length > 0) return false
  return tableNames.every((name) => {
    if (observed[name].size !== tables[name].size) return false
    return [...tables[name]].every(([chain, rules]) => observed[name].get(chain) === rules.length)
  })
}

/** Input of `iptables-restore --noflush` that makes the filter hold `tables`, whatever of ours it holds now. */
export function renderAll(observed: Observed, tables: Tables): string {
  return render((name) => ({
    chains: tables[name],
    gone: [...observed[name].keys()].filter((chain) => !tables[name].has(chain)),
    jumps: missingJumps(observed).filter((jump) => jump.table === name),
  }))
}

/** The same with only what differs from `before`; empty when nothing does. */
export function renderChanges(before: Tables, after: Tables): string {
  return render((name) => ({
    chains: new Map([...after[name]].filter(([chain, rules]) => !isSame(before[name].get(chain), rules))),
    gone: [...before[name].keys()].filter((chain) => !after[name].has(chain)),
    jumps: [],
  }))
}

/** Removes every chain and jump of ours. */
export function renderRemoval(observed: Observed): string {
  return tableNames
    .map((name) => {
      const chains = [...observed[name].keys()]
      const leaving = observed.jumps.filter((jump) => jump.table === name).map(({ line }) => line.replace(/^-A/, '-D'))
      if (chains.length === 0 && leaving.length === 0) return ''
      return lines(name, [...chains.map(declare), ...leaving, ...chains.map((chain) => `-X ${chain}`)])
    })
    .join('')
}

interface Change {
  readonly chains: Chains
  readonly gone: readonly string[]
  readonly jumps: readonly Jump[]
}

function render(changeOf: (name: TableName) => Change): string {
  return tableNames
    .map((name) => {
      const { chains, gone, jumps: missing } = changeOf(name)
      if (chains.size === 0 && gone.length === 0 && missing.length === 0) return ''
      return lines(name, [
        // A declaration empties the chain.
        ...[...chains.keys(), ...gone].map(declare),
        ...[...chains].flatMap(([chain, rules]) => rules.map((rule) => `-A ${chain} ${rule}`)),
        ...missing.map(({ from, to, match }) => `-I ${from} 1 ${match}-m comment --comment "skiff" -j ${to}`),
        ...gone.map((chain) => `-X ${chain}`),
      ])
    })
    .join('')
}

const declare = (chain: string): string => `:${chain} - [0:0]`
const lines = (name: TableName, all: readonly string[]): string => `*${name}\n${all.join('\n')}\nCOMMIT\n`

function missingJumps(observed: Observed): readonly Jump[] {
  return jumps.filter(
    ({ table, from, to }) => !observed.jumps.some((jump) => jump.table === table && jump.from === from && jump.to === to),
  )
}

function isSame(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return a !== undefined && a.length === b.length && a.every((rule, index) => rule === b[index])
}
