import type { KindDef } from '../api/kinds/define.ts'
import type { ApiList, ApiObject } from '../api/meta/object-meta.ts'
import type { ApiRequest, Transport } from '../api/meta/request.ts'
import type { Status } from '../api/meta/status.ts'
import type { AbortOptions } from '../lib/async.ts'
import type { Client } from './client.ts'
import { createClient } from './typed-client.ts'

/** A client that remembers how far its writes went, so that nobody acts on a state older than his own writes (law 3). */
export interface RecordedWrites {
  readonly client: Client
  readonly hasWritten: boolean
  /**
   * The highest revision written; 0 when nothing was. Writes whose answers named no revision (a deletion that was
   * completed, an outcome that got lost) are covered by asking the server for its current revision.
   */
  revision(opts: AbortOptions): Promise<number>
}

export function recordWrites(transport: Transport): RecordedWrites {
  let highest = 0
  let unknown: KindDef | undefined
  const recording: Transport = {
    watch: (request, opts) => transport.watch(request, opts),
    async request(request, opts) {
      if (request.verb === 'get' || request.verb === 'list' || request.options?.dryRun === true) {
        return transport.request(request, opts)
      }
      try {
        const response = await transport.request(request, opts)
        const revision = revisionOf(response.body)
        if (revision === undefined) unknown = request.kind
        else highest = Math.max(highest, revision)
        return response
      } catch (err) {
        unknown = request.kind
        throw err
      }
    },
  }
  return {
    client: createClient(recording),
    get hasWritten() {
      return highest > 0 || unknown !== undefined
    },
    async revision({ signal }) {
      if (unknown !== undefined) {
        const request: ApiRequest = { verb: 'list', kind: unknown, options: { limit: 1 } }
        const { body } = await transport.request(request, { signal })
        highest = Math.max(highest, revisionOf(body) ?? 0)
        unknown = undefined
      }
      return highest
    },
  }
}

function revisionOf({ metadata }: ApiObject | ApiList | Status): number | undefined {
  const revision = Number(metadata.resourceVersion)
  return Number.isSafeInteger(revision) && revision > 0 ? revision : undefined
}
