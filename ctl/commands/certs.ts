import { readCertificate } from '../../lib/certificate.ts'
import { formatTime, parseTime } from '../../lib/clock.ts'
import { type Context, defineCommand } from '../command.ts'
import { alignRows } from '../printers/table.ts'

interface Certificate {
  readonly name: string
  /** When it renews itself; absent where only its holder knows. */
  readonly renews?: string
  readonly ends: string
}

export const certs = defineCommand({
  name: 'certs',
  summary: 'Show when certificates end, and when they renew themselves',
  flags: {},
  async run(_, context) {
    const { connect, signal } = context
    print((await connect().get('/skiff/v1/certificates', { signal })) as Answer, context)
    return 0
  },
})

export const certsRotate = defineCommand({
  name: 'certs rotate',
  summary: 'Renew all certificates now, those of nodes too; authorities stay, nothing is restarted',
  flags: {},
  async run(_, context) {
    const { connect, signal, out } = context
    print((await connect().post('/skiff/v1/certificates/rotate', undefined, { signal })) as Answer, context)
    out.note('nodes renew theirs in a moment; look again with "ctl certs"')
    return 0
  },
})

interface Answer {
  readonly certificates: readonly Certificate[]
}

function print({ certificates }: Answer, { out, connect, clock }: Context): void {
  const { clientCertificate } = connect()
  const own: readonly Certificate[] =
    clientCertificate === undefined ? [] : [{ name: 'this kubeconfig', ...endOf(clientCertificate) }]
  const rows = [...own, ...certificates].map((one) => [one.name, one.ends, one.renews ?? '', stateOf(one, clock.now())])
  for (const line of alignRows([['NAME', 'ENDS', 'RENEWS', 'STATE'], ...rows])) out.line(line)
}

const endOf = (pem: string): { readonly ends: string } => ({ ends: formatTime(readCertificate(pem).endMs) })

function stateOf({ renews, ends }: Certificate, nowMs: number): string {
  const leftMs = (parseTime(ends) ?? 0) - nowMs
  if (leftMs <= 0) return 'ended'
  if (nowMs > (parseTime(renews) ?? Number.POSITIVE_INFINITY)) return 'due'
  const days = Math.floor(leftMs / 86_400_000)
  return days > 0 ? `${days} days left` : `${Math.floor(leftMs / 60_000)} minutes left`
}
