/**
 * Grammars of names. Each `wrong…` tells what is wrong with a text, in words that can follow a field's path, or
 * undefined. Kubernetes: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
 */
type Wrong = string | undefined
export type NameRule = (text: string) => Wrong

const label = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/
const label1035 = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/
const subdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const word = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/

const ends = 'and must start and end with one of them'
const tooLong = (text: string, max: number): Wrong => (text.length > max ? `must be no more than ${max} characters` : undefined)

/** A DNS label (RFC 1123): containers, volumes, namespaces. */
export const wrongLabel: NameRule = (text) =>
  tooLong(text, 63) ??
  (label.test(text)
    ? undefined
    : "a DNS label consists of lower case letters, digits or '-', and must start and end with a letter or digit (e.g. 'my-name')")

/** A DNS label that starts with a letter (RFC 1035): services. */
export const wrongLabel1035: NameRule = (text) =>
  tooLong(text, 63) ??
  (label1035.test(text)
    ? undefined
    : "a DNS-1035 label consists of lower case letters, digits or '-', must start with a letter and end with a letter or digit (e.g. 'my-name')")

/** Labels joined by dots (RFC 1123): most objects. */
export const wrongSubdomain: NameRule = (text) =>
  tooLong(text, 253) ??
  (subdomain.test(text)
    ? undefined
    : "a DNS subdomain consists of lower case letters, digits, '-' or '.', and each part must start and end with a letter or digit (e.g. 'example.com')")

/** A name that is one segment of a path and nothing more: role names and the like. */
export const wrongPathSegment: NameRule = (text) =>
  text === '.' || text === '..' || /[/%]/.test(text) ? "may not be '.' or '..', nor contain '/' or '%'" : tooLong(text, 253)

/** `name` or `prefix/name`: keys of labels, annotations, taints, extended resources. */
export function wrongQualifiedName(text: string): Wrong {
  const parts = text.split('/')
  if (parts.length > 2) return "a key is a name, or a DNS subdomain, '/' and a name"
  const [first = '', second] = parts
  const name = second ?? first
  if (second !== undefined) {
    if (first === '') return 'the part before the slash must not be empty'
    const wrong = wrongSubdomain(first)
    if (wrong !== undefined) return `the part before the slash: ${wrong}`
  }
  if (name === '') return 'the name must not be empty'
  return (
    (name.length > 63 ? 'the name must be no more than 63 characters' : undefined) ??
    (word.test(name)
      ? undefined
      : `the name consists of letters, digits, '-', '_' or '.', ${ends.replace('one of them', 'a letter or digit')}`)
  )
}

export const wrongLabelValue: NameRule = (text) =>
  tooLong(text, 63) ??
  (text === '' || word.test(text)
    ? undefined
    : "a label's value is empty or consists of letters, digits, '-', '_' or '.', and must start and end with a letter or digit")

/** Kubernetes takes any printable ASCII without `=` since 1.32. */
export const wrongEnvName: NameRule = (text) =>
  /^[ -<>-~]+$/.test(text) ? undefined : "a variable's name consists of printable ASCII characters other than '='"

/** Keys of ConfigMaps and Secrets. */
export const wrongConfigKey: NameRule = (text) =>
  tooLong(text, 253) ??
  (/^[-._a-zA-Z0-9]+$/.test(text) && text !== '.' && !text.startsWith('..')
    ? undefined
    : "a key consists of letters, digits, '-', '_' or '.', and is neither '.' nor starts with '..'")

/** Names of ports (IANA service names). */
export const wrongPortName: NameRule = (text) =>
  tooLong(text, 15) ??
  (/^[a-z0-9](?:-?[a-z0-9])*$/.test(text) && /[a-z]/.test(text)
    ? undefined
    : "a port's name consists of lower case letters, digits or single '-' inside, with at least one letter")

export const wrongPort = (port: number): Wrong => (port >= 1 && port <= 65535 ? undefined : 'must be between 1 and 65535')

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const ipv4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`)
export const isIPv4 = (text: string): boolean => ipv4.test(text)

export function isIPv6(text: string): boolean {
  if (!/^[0-9a-fA-F:.]+$/.test(text) || text.includes(':::')) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  let groups = 0
  const parts = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1 && !text.endsWith('::')
    if (isLast && part.includes('.') && isIPv4(part)) groups += 2
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups += 1
    else return false
  }
  return halves.length === 2 ? groups < 8 : groups === 8
}

export const isIP = (text: string): boolean => isIPv4(text) || isIPv6(text)

export function isCIDR(text: string): boolean {
  const [ip = '', bits = '', ...rest] = text.split('/')
  if (rest.length > 0 || !/^\d{1,3}$/.test(bits)) return false
  return (isIPv4(ip) && Number(bits) <= 32) || (isIPv6(ip) && Number(bits) <= 128)
}
