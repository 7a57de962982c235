/**
 * Replaces `$(NAME)` by the variable's value. `$$` is a dollar sign, so `$$(NAME)` stays `$(NAME)`. What names no known
 * variable is left as it is (Kubernetes: third_party/forked/golang/expansion).
 */
export function expand(text: string, lookUp: (name: string) => string | undefined): string {
  let result = ''
  let at = 0
  while (at < text.length) {
    const dollar = text.indexOf('$', at)
    if (dollar < 0 || dollar === text.length - 1) return result + text.slice(at)
    result += text.slice(at, dollar)
    const { piece, next } = reference(text, dollar, lookUp)
    result += piece
    at = next
  }
  return result
}

function reference(text: string, dollar: number, lookUp: (name: string) => string | undefined): { piece: string; next: number } {
  const after = text[dollar + 1]
  if (after === '$') return { piece: '$', next: dollar + 2 }
  if (after !== '(') return { piece: '$', next: dollar + 1 }
  const close = text.indexOf(')', dollar + 2)
  if (close < 0) return { piece: '$(', next: dollar + 2 }
  const value = lookUp(text.slice(dollar + 2, close))
  return { piece: value ?? text.slice(dollar, close + 1), next: close + 1 }
}
