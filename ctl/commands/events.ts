import { Event } from '../../api/kinds/event.ts'
import { defineCommand } from '../command.ts'
import { text, texts, toggle } from '../flags.ts'
import { listAll, type Query } from '../get-objects.ts'
import { alignRows, tableRows } from '../printers/table.ts'
import { findKind } from '../resources.ts'
import { watchObjects } from '../watch.ts'

export const events = defineCommand({
  name: 'events',
  summary: 'Show what has happened, newest last',
  flags: {
    for: text({ value: 'TYPE/NAME', help: 'Only what happened to this object' }),
    types: texts({ value: 'type', help: 'Normal or Warning' }),
    watch: toggle({ short: 'w', help: 'Go on as things happen' }),
    allNamespaces: toggle({ short: 'A', help: 'In all namespaces' }),
  },
  examples: ['ctl events --for pod/web-1', 'ctl events -A --types=Warning'],
  async run({ flags }, context) {
    const { client, namespace } = context.connect()
    const query: Query = {
      client,
      signal: context.signal,
      namespace: flags.allNamespaces ? undefined : namespace,
      labelSelector: undefined,
      fieldSelector: flags.for === undefined ? undefined : involved(flags.for),
    }
    const wanted = flags.types.flatMap((one) => one.split(','))
    const isWanted = (event: Event): boolean => wanted.length === 0 || wanted.includes(event.type ?? '')
    const listed = await listAll(Event, query)
    const shown = (listed.items as readonly Event[]).filter(isWanted).sort((a, b) => (lastSeen(a) < lastSeen(b) ? -1 : 1))
    const print = (some: readonly Event[], noHeaders: boolean): void => {
      const options = {
        wide: false,
        withNamespace: flags.allNamespaces,
        noHeaders,
        showLabels: false,
        labelColumns: [],
        showKind: false,
        nowMs: context.clock.now(),
      }
      for (const line of alignRows(tableRows(Event, some, options))) context.out.line(line)
    }
    if (shown.length === 0 && !flags.watch)
      context.out.note(flags.allNamespaces ? 'No events found' : `No events found in ${namespace} namespace.`)
    else print(shown, false)
    if (!flags.watch) return 0
    await watchObjects(Event, { ...query, resourceVersion: listed.resourceVersion }, (batch) => {
      print(
        batch
          .filter(({ type }) => type !== 'DELETED')
          .map(({ object }) => object as Event)
          .filter(isWanted),
        true,
      )
      return undefined
    })
    return 0
  },
})

const lastSeen = (event: Event): string => event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? ''

function involved(target: string): string {
  const [type = '', name = ''] = target.includes('/') ? target.split('/') : ['pod', target]
  return `involvedObject.kind=${findKind(type).kind},involvedObject.name=${name}`
}
