export type Architecture = 'amd64' | 'arm64'

export const headerBytes = 64 + 2 * 56
const loadAddress = 0x400000n
const machines: Readonly<Record<Architecture, number>> = { amd64: 62, arm64: 183 }

/** The architecture by any of its usual names; undefined for one that there are no programs for. */
export function programArchitecture(name: string): Architecture | undefined {
  if (name === 'x86_64' || name === 'amd64') return 'amd64'
  return name === 'aarch64' || name === 'arm64' ? 'arm64' : undefined
}

/** A static ELF file of one loadable segment that begins with its code. */
export function elfFile(architecture: Architecture, code: Uint8Array): Uint8Array {
  const file = Buffer.alloc(headerBytes + code.length)
  // 64 bit, little-endian, version 1; type executable.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  file.writeUInt16LE(2, 16)
  file.writeUInt16LE(machines[architecture], 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(loadAddress + BigInt(headerBytes), 24)
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt16LE(64, 52)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(2, 56)
  file.writeUInt16LE(64, 58)
  // PT_LOAD of the whole file, readable and executable.
  file.writeUInt32LE(1, 64)
  file.writeUInt32LE(5, 68)
  file.writeBigUInt64LE(loadAddress, 80)
  file.writeBigUInt64LE(loadAddress, 88)
  file.writeBigUInt64LE(BigInt(file.length), 96)
  file.writeBigUInt64LE(BigInt(file.length), 104)
  file.writeBigUInt64LE(0x10000n, 112)
  // PT_GNU_STACK, readable and writable: no executable stack.
  file.writeUInt32LE(0x6474e551, 120)
  file.writeUInt32LE(6, 124)
  file.writeBigUInt64LE(16n, 168)
  file.set(code, headerBytes)
  return file
}
