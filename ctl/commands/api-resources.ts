import { defineCommand } from '../command.ts'
import { alignRows } from '../printers/table.ts'
import { kindsInOrder } from '../resources.ts'

export const apiResources = defineCommand({
  name: 'api-resources',
  summary: 'List the kinds of resources',
  flags: {},
  run(_, { out }) {
    const rows = kindsInOrder.map((kind) => [
      kind.plural,
      kind.shortNames.join(','),
      kind.apiVersion,
      String(kind.scope === 'Namespaced'),
      kind.kind,
    ])
    for (const line of alignRows([['NAME', 'SHORTNAMES', 'APIVERSION', 'NAMESPACED', 'KIND'], ...rows])) out.line(line)
    return Promise.resolve(0)
  },
})
