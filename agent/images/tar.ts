export type TarEntry =
  | { readonly type: 'file'; readonly path: string; readonly data: Uint8Array; readonly mode: number }
  | { readonly type: 'folder'; readonly path: string; readonly mode: number }
  | { readonly type: 'link'; readonly path: string; readonly target: string }

const blockBytes = 512
const typeFlags = { file: '0', link: '2', folder: '5' } as const

/** A ustar archive, the same bytes for the same entries: owner root, time zero. */
export function tar(entries: readonly TarEntry[]): Uint8Array {
  const parts = entries.flatMap((entry) => {
    const data = entry.type === 'file' ? entry.data : new Uint8Array(0)
    const padding = Buffer.alloc((blockBytes - (data.length % blockBytes)) % blockBytes)
    return [header(entry, data.length), data, padding]
  })
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)])
}

function header(entry: TarEntry, size: number): Uint8Array {
  const target = entry.type === 'link' ? entry.target : ''
  if (Buffer.byteLength(entry.path) > 100 || Buffer.byteLength(target) > 100) {
    throw new RangeError(`path "${entry.path}" is too long for the archive`)
  }
  const block = Buffer.alloc(blockBytes)
  const octal = (value: number, at: number, width: number): void => {
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1')
  }
  block.write(entry.path, 0)
  octal(entry.type === 'link' ? 0o777 : entry.mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(0, 136, 12)
  block.write('        ', 148)
  block.write(typeFlags[entry.type], 156)
  block.write(target, 157)
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}
