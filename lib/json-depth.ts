const opening = new Set(['{', '['])
const closing = new Set(['}', ']'])

/** Whether a JSON text has more than `levels` brackets open at some place. Of any text: this looks without reading. */
export function isDeeper(json: string, levels: number): boolean {
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const char = json[at] ?? ''
    if (char === '"') at = endOfText(json, at)
    else if (opening.has(char) && ++depth > levels) return true
    else if (closing.has(char)) depth--
  }
  return false
}

/** Where the quote stands that ends the text which begins at `start`. */
function endOfText(json: string, start: number): number {
  for (let at = start + 1; at < json.length; at++) {
    if (json[at] === '"') return at
    if (json[at] === '\\') at++
  }
  return json.length
}
