import { invalid } from '../meta/status.ts'
import { age, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { checkMeta, checkMin, type Wrong } from './rules.ts'
import { int32, message, microTime, opt, req, str, time } from './schema.ts'
import { type ObjectReference, objectReferenceSchema } from './shared.ts'

const core = 'io.k8s.api.core.v1'

export const Event = defineKind({
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  scope: 'Namespaced',
  doc: 'Something that happened to an object; kept for a while only.',
  schemaName: `${core}.Event`,
  body: {
    involvedObject: req(objectReferenceSchema, 'The object that it happened to.', { tag: 2 }),
    reason: opt(str(), 'What happened, as one CamelCase word.', { tag: 3 }),
    message: opt(str(), 'What happened, for people.', { tag: 4 }),
    source: opt(
      message(`${core}.EventSource`, 'Who reports an event.', {
        component: opt(str(), 'The component.', { tag: 1 }),
        host: opt(str(), 'The node it runs on.', { tag: 2 }),
      }),
      'Who reports it.',
      { tag: 5, default: {} },
    ),
    firstTimestamp: opt(time(), 'When it first happened.', { tag: 6 }),
    lastTimestamp: opt(time(), 'When it last happened.', { tag: 7 }),
    count: opt(int32(), 'How often it happened.', { tag: 8 }),
    type: opt(str(), 'Normal or Warning.', { tag: 9 }),
    eventTime: opt(microTime(), 'When it first happened, in events of the newer form.', { tag: 10 }),
    series: opt(
      message(`${core}.EventSeries`, 'Repetitions of an event.', {
        count: opt(int32(), 'How many.', { tag: 1 }),
        lastObservedTime: opt(microTime(), 'When the last one happened.', { tag: 2 }),
      }),
      'Repetitions, in events of the newer form.',
      { tag: 11 },
    ),
    action: opt(str(), 'What was done.', { tag: 12 }),
    related: opt(objectReferenceSchema, 'A second object that plays a part.', { tag: 13 }),
    reportingComponent: opt(str(), 'The controller that reports it.', { tag: 14, default: '' }),
    reportingInstance: opt(str(), 'Which instance of the controller.', { tag: 15, default: '' }),
  },
})({
  columns: [
    { name: 'Last Seen', doc: 'How long ago it last happened.', cell: lastSeen },
    { name: 'Type', doc: 'Normal or Warning.', cell: (event) => event.type ?? '' },
    { name: 'Reason', doc: 'What happened, as one word.', cell: (event) => event.reason ?? '' },
    { name: 'Object', doc: 'The object that it happened to.', cell: objectName },
    { name: 'Subobject', wide: true, cell: (event) => event.involvedObject.fieldPath ?? '' },
    { name: 'Source', wide: true, cell: sourceText },
    { name: 'Message', doc: 'What happened, for people.', cell: (event) => (event.message ?? '').trim() },
    { name: 'First Seen', wide: true, cell: (event, nowMs) => agoOf(event.firstTimestamp ?? event.eventTime, nowMs) },
    { name: 'Count', wide: true, cell: (event) => event.series?.count ?? event.count ?? 1 },
    { ...nameColumn, wide: true },
  ],
  strategy: {
    hasGeneration: false,
    validate: (event) => [...checkMeta(event), ...checkEvent(event)],
    selectableFields: {
      'involvedObject.kind': (event) => event.involvedObject.kind ?? '',
      'involvedObject.namespace': (event) => event.involvedObject.namespace ?? '',
      'involvedObject.name': (event) => event.involvedObject.name ?? '',
      'involvedObject.uid': (event) => event.involvedObject.uid ?? '',
      'involvedObject.apiVersion': (event) => event.involvedObject.apiVersion ?? '',
      'involvedObject.resourceVersion': (event) => event.involvedObject.resourceVersion ?? '',
      'involvedObject.fieldPath': (event) => event.involvedObject.fieldPath ?? '',
      reason: (event) => event.reason ?? '',
      reportingComponent: (event) => event.reportingComponent ?? '',
      source: (event) => firstText(event.source?.component, event.reportingComponent),
      type: (event) => event.type ?? '',
    },
  },
})
export type Event = ObjectOf<typeof Event>

/** The part of an event that the columns read; Event itself is made of them. */
interface EventLike {
  readonly involvedObject: ObjectReference
  readonly source?: { readonly component?: string; readonly host?: string }
  readonly series?: { readonly lastObservedTime?: string }
  readonly firstTimestamp?: string
  readonly lastTimestamp?: string
  readonly eventTime?: string
  readonly reportingComponent?: string
  readonly reportingInstance?: string
}

const firstText = (...texts: readonly (string | undefined)[]): string =>
  texts.find((text) => text !== undefined && text !== '') ?? ''

const agoOf = (since: string | undefined, nowMs: number): string => age(since, nowMs)

function lastSeen(event: EventLike, nowMs: number): string {
  return agoOf(event.series?.lastObservedTime ?? event.lastTimestamp ?? event.firstTimestamp ?? event.eventTime, nowMs)
}

function objectName({ involvedObject }: EventLike): string {
  const { kind = '', name = '' } = involvedObject
  return name === '' ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`
}

function sourceText({ source, reportingComponent, reportingInstance }: EventLike): string {
  return [firstText(source?.component, reportingComponent), firstText(source?.host, reportingInstance)]
    .filter((text) => text !== '')
    .join(', ')
}

const longest = { reason: 128, message: 1024, action: 128 } as const

function* checkEvent(event: Event): Wrong {
  const { namespace = '' } = event.involvedObject
  // Events about what has no namespace are kept in the namespace default.
  const wanted = namespace === '' ? 'default' : namespace
  if (event.metadata.namespace !== wanted) {
    yield invalid('involvedObject.namespace', namespace, "does not match the event's own namespace")
  }
  yield* checkMin('count', event.count, 0)
  for (const key of ['reason', 'message', 'action'] as const) {
    const text = event[key] ?? ''
    if (text.length > longest[key])
      yield { field: key, type: 'FieldValueTooLong', detail: `may not be more than ${longest[key]} bytes` }
  }
}
