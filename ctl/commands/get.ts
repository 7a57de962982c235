import type { KindDef } from '../../api/kinds/define.ts'
import { isNotFound } from '../../api/meta/status.ts'
import { type Context, defineCommand } from '../command.ts'
import { text, texts, toggle } from '../flags.ts'
import { getTarget, listAll, type Query } from '../get-objects.ts'
import { loadManifests } from '../manifests.ts'
import { UserError } from '../output.ts'
import { type Printable, type Printer, printerOf } from '../printers/output-format.ts'
import { alignRows, columnWidth, type TableOptions, tableRows } from '../printers/table.ts'
import { parseTargets, place, type Target } from '../resources.ts'
import { sortItems } from '../sort.ts'
import { watchObjects } from '../watch.ts'

export const get = defineCommand({
  name: 'get',
  summary: 'Show one or many resources',
  args: '[(TYPE[.GROUP][,TYPE] [NAME ...] | TYPE/NAME ...)]',
  flags: {
    output: text({
      short: 'o',
      value: 'format',
      help: 'wide, yaml, json, name, jsonpath=TEMPLATE or custom-columns=HEADER:PATH,…',
    }),
    watch: toggle({ short: 'w', help: 'After the list, show changes as they happen' }),
    watchOnly: toggle({ help: 'Show changes only' }),
    selector: text({ short: 'l', help: 'Label selector, as in app=web,tier!=test' }),
    fieldSelector: text({ help: 'Field selector, as in spec.nodeName=one' }),
    allNamespaces: toggle({ short: 'A', help: 'In all namespaces' }),
    labelColumns: texts({ short: 'L', value: 'label', help: 'With a column for this label' }),
    showLabels: toggle({ help: 'With a column of labels' }),
    headers: { ...toggle({ help: 'Without the header line' }), default: true },
    sortBy: text({ value: 'jsonpath', help: 'Order by a field, as in .metadata.name' }),
    ignoreNotFound: toggle({ help: 'An object that does not exist is no failure' }),
    filename: texts({ short: 'f', value: 'file', help: 'The objects of a manifest' }),
    recursive: toggle({ short: 'R', help: 'Folders with all below them' }),
  },
  examples: ['ctl get pods -A', 'ctl get deployment/web -o yaml', 'ctl get pods -w -l app=web'],
  async run({ args, flags }, context) {
    const connection = context.connect()
    const query: Query = {
      client: connection.client,
      signal: context.signal,
      namespace: flags.allNamespaces ? undefined : connection.namespace,
      labelSelector: flags.selector,
      fieldSelector: flags.fieldSelector,
    }
    if (args.length === 0 && flags.filename.length === 0) throw new UserError(nothingAsked)
    const targets =
      flags.filename.length > 0 ? await manifestTargets(flags.filename, flags.recursive, context) : parseTargets(args)
    if (flags.allNamespaces && targets.some(({ name }) => name !== undefined))
      throw new UserError('error: a resource cannot be retrieved by name across all namespaces')
    const printer = printerOf(flags.output)
    const view: View = { printer, wide: flags.output === 'wide', ...flags, query }
    if (flags.watch || flags.watchOnly) return await watch(targets, view, context)
    return await show(targets, view, context)
  },
})

const nothingAsked = `You must specify the type of resource to get. Use "ctl api-resources" for a complete list of supported resources.

error: Required resource not specified.
Use "ctl explain <resource>" for a detailed description of that resource (e.g. ctl explain pods).
See 'ctl get --help' for help and examples`

interface View {
  readonly printer: Printer | undefined
  readonly wide: boolean
  readonly query: Query
  readonly allNamespaces: boolean
  readonly showLabels: boolean
  readonly labelColumns: readonly string[]
  readonly headers: boolean
  readonly sortBy: string | undefined
  readonly ignoreNotFound: boolean
  readonly watchOnly: boolean
}

async function manifestTargets(files: readonly string[], recursive: boolean, { stdin }: Context): Promise<readonly Target[]> {
  const manifests = await loadManifests(files, { recursive, stdin })
  return manifests.map(({ kind, object }) => ({ kind, name: object.metadata.name }))
}

interface Group {
  readonly kind: KindDef
  readonly items: readonly Printable[]
}

async function show(targets: readonly Target[], view: View, context: Context): Promise<number> {
  const { out } = context
  const failures: string[] = []
  const { groups, missing } = await collect(targets, view, (text) => failures.push(text))
  const all = groups.flatMap(({ items }) => items)
  const isList = targets.length !== 1 || targets[0]?.name === undefined
  if (view.printer !== undefined) {
    if (all.length > 0 || isList) out.write(view.printer(all, isList))
  } else if (all.length > 0) printTables(groups, view, context)
  else if (missing === 0 && !view.ignoreNotFound) out.note(nothingFound(targets, view))
  for (const failure of failures) out.note(failure)
  return missing === 0 ? 0 : 1
}

/** Everything asked for, one group for each run of the same kind. */
async function collect(
  targets: readonly Target[],
  view: View,
  note: (text: string) => void,
): Promise<{ groups: readonly Group[]; missing: number }> {
  const groups: Group[] = []
  let missing = 0
  for (const target of targets) {
    const found = await find(target, view, note)
    if (found === undefined) missing += 1
    const items = (found ?? []).map((object) => ({ kind: target.kind, object }))
    const last = groups.at(-1)
    if (last?.kind === target.kind) groups.splice(-1, 1, { kind: target.kind, items: [...last.items, ...items] })
    else groups.push({ kind: target.kind, items })
  }
  return { groups: groups.map(({ kind, items }) => ({ kind, items: sortItems(items, view.sortBy) })), missing }
}

function nothingFound(targets: readonly Target[], { query: { namespace } }: View): string {
  const isNamespaced = targets.some(({ kind }) => kind.scope === 'Namespaced')
  return isNamespaced && namespace !== undefined ? `No resources found in ${namespace} namespace.` : 'No resources found'
}

function printTables(groups: readonly Group[], view: View, { out, clock }: Context): void {
  const tables = groups.filter(({ items }) => items.length > 0)
  for (const [index, { kind, items }] of tables.entries()) {
    if (index > 0) out.line()
    const about = {
      showKind: new Set(groups.map((group) => group.kind)).size > 1,
      nowMs: clock.now(),
      isNamespaced: kind.scope === 'Namespaced',
    }
    const objects = items.map(({ object }) => object)
    for (const line of alignRows(tableRows(kind, objects, tableOptions(view, about)))) out.line(line)
  }
}

async function find(target: Target, view: View, note: (text: string) => void) {
  try {
    return await getTarget(target, view.query)
  } catch (err) {
    if (!isNotFound(err) || target.name === undefined) throw err
    if (view.ignoreNotFound) return []
    note(`Error from server (NotFound): ${err instanceof Error ? err.message : ''}`)
    return undefined
  }
}

function tableOptions(view: View, about: { showKind: boolean; nowMs: number; isNamespaced: boolean }): TableOptions {
  return {
    wide: view.wide,
    withNamespace: view.allNamespaces && about.isNamespaced,
    noHeaders: !view.headers,
    showLabels: view.showLabels,
    labelColumns: view.labelColumns.flatMap((one) => one.split(',')),
    showKind: about.showKind,
    nowMs: about.nowMs,
  }
}

async function watch(targets: readonly Target[], view: View, { out, clock, signal }: Context): Promise<number> {
  const [target] = targets
  if (target === undefined || targets.length !== 1)
    throw new UserError('error: you may only specify a single resource type to watch')
  const { kind } = target
  const query = target.name === undefined ? view.query : { ...view.query, fieldSelector: `metadata.name=${target.name}` }
  if (target.name !== undefined)
    await view.query.client.get(kind, { ...place(kind, query.namespace ?? 'default'), name: target.name }, { signal })
  const listed = await listAll(kind, query)
  let widths: readonly number[] = []
  let isFirst = view.headers
  const print = (objects: readonly Printable['object'][]): void => {
    if (view.printer !== undefined) {
      for (const object of objects) out.write(view.printer([{ kind, object }], false))
      return
    }
    const options = tableOptions(
      { ...view, headers: isFirst },
      { showKind: false, nowMs: clock.now(), isNamespaced: kind.scope === 'Namespaced' },
    )
    const rows = tableRows(kind, objects, options)
    isFirst = false
    // Later rows keep the width of earlier ones, so that the columns stay in line.
    widths = rows.reduce((wide, row) => row.map((cell, index) => Math.max(wide[index] ?? 0, cell.length)), widths)
    for (const row of rows)
      out.line(
        row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(columnWidth(widths[index] ?? 0)))).join(''),
      )
  }
  if (!view.watchOnly) print(listed.items)
  await watchObjects(kind, { ...query, resourceVersion: listed.resourceVersion }, (events) => {
    print(events.map(({ object }) => object))
    return undefined
  })
  return 0
}
