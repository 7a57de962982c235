import { ageColumn, nameColumn } from './columns.ts'
import { defineKind, type ObjectOf } from './define.ts'
import { int32, message, microTime, opt, req, str, time } from './schema.ts'
import { objectReferenceSchema } from './shared.ts'

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
})({ columns: [nameColumn, ageColumn] })
export type Event = ObjectOf<typeof Event>
