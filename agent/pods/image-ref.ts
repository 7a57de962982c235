const maxLength = 512

/** Whether the text can name an image: `[host[:port]/]path[:tag][@digest]`. Linear in its length. */
export function isImageRef(text: string): boolean {
  if (text === '' || text.length > maxLength) return false
  const at = text.indexOf('@')
  if (at >= 0 && !/^[a-z0-9]{1,32}:[0-9a-f]{32,128}$/.test(text.slice(at + 1))) return false
  const named = at < 0 ? text : text.slice(0, at)
  const slash = named.lastIndexOf('/')
  const colon = named.indexOf(':', slash + 1)
  if (colon >= 0 && !/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(named.slice(colon + 1))) return false
  const parts = (colon < 0 ? named : named.slice(0, colon)).split('/')
  const [host = ''] = parts
  const hasHost = parts.length > 1 && (/[.:]/.test(host) || host === 'localhost')
  if (hasHost && !/^[A-Za-z0-9.-]{1,253}(:\d{1,5})?$/.test(host)) return false
  return parts.slice(hasHost ? 1 : 0).every(isPathPart)
}

/** Lower-case letters and digits, with single separators between them. */
const isPathPart = (part: string): boolean =>
  /^[a-z0-9._-]{1,255}$/.test(part) && /^[a-z0-9]/.test(part) && /[a-z0-9]$/.test(part)
