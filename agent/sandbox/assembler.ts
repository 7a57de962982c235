import type { Architecture } from './elf.ts'

/**
 * The few instructions of which a small program is made, once for all architectures. Registers keep their value across
 * system calls; `result` is what the last system call gave, until the next instruction but a branch.
 */
export interface Assembler {
  label(name: string): void
  /** `to` becomes the stack pointer as it was when the program began: there lie argument count, arguments, environment. */
  enter(to: Register, frameBytes: number): void
  /** Address of a place in the frame. */
  frame(to: Register, offset: number): void
  copy(to: Register, from: Register | 'result'): void
  set(to: Register, value: number): void
  add(to: Register, value: number): void
  and(to: Register, value: number): void
  load8(to: Register, from: Register): void
  load32(to: Register, from: Register, offset: number): void
  load64(to: Register, from: Register, offset: number): void
  store8(to: Register, value: Register): void
  /** Into the frame. */
  store64(offset: number, value: bigint): void
  jump(label: string): void
  /** Compares as signed numbers. */
  branch(left: Register | 'result', condition: Condition, right: Register | number, label: string): void
  call(name: SystemCall, ...operands: readonly Operand[]): void
}

export type Register = 'a' | 'b' | 'c' | 'd' | 'e' | 'f'
export type Condition = 'equal' | 'unequal' | 'less' | 'greater'
export type Operand = Register | number | { readonly frame: number }
export type SystemCall = keyof typeof numbers

const numbers = {
  rt_sigprocmask: { amd64: 14, arm64: 135 },
  rt_sigtimedwait: { amd64: 128, arm64: 137 },
  uname: { amd64: 63, arm64: 160 },
  newfstatat: { amd64: 262, arm64: 79 },
  execve: { amd64: 59, arm64: 221 },
  prctl: { amd64: 157, arm64: 167 },
  openat: { amd64: 257, arm64: 56 },
  setns: { amd64: 308, arm64: 268 },
  sethostname: { amd64: 170, arm64: 161 },
  exit_group: { amd64: 231, arm64: 94 },
} as const

/** Machine code of the program that `write` spells out. */
export function assemble(architecture: Architecture, write: (asm: Assembler) => void): Uint8Array {
  const assembler = architecture === 'amd64' ? new Amd64() : new Arm64()
  write(assembler)
  return assembler.finish()
}

/** Code whose jumps are filled in when all labels are known. */
abstract class Code {
  readonly #bytes: number[] = []
  readonly #labels = new Map<string, number>()
  readonly #jumps: { readonly at: number; readonly label: string; readonly patch: Patch }[] = []

  label(name: string): void {
    if (this.#labels.has(name)) throw new RangeError(`the label "${name}" stands twice`)
    this.#labels.set(name, this.#bytes.length)
  }

  protected emit(...bytes: readonly number[]): void {
    this.#bytes.push(...bytes)
  }

  /** Four bytes that depend on how far it is from them to the label. */
  protected emitJump(label: string, patch: Patch): void {
    this.#jumps.push({ at: this.#bytes.length, label, patch })
    this.emit(0, 0, 0, 0)
  }

  finish(): Uint8Array {
    for (const { at, label, patch } of this.#jumps) {
      const target = this.#labels.get(label)
      if (target === undefined) throw new RangeError(`no label "${label}"`)
      this.#bytes.splice(at, 4, ...u32(patch(target - at)))
    }
    return Uint8Array.from(this.#bytes)
  }
}
type Patch = (distance: number) => number

/** rbx, rbp, r12 to r15: the kernel leaves them alone. */
const amdRegisters: Readonly<Record<Register | 'result', number>> = { a: 3, b: 5, c: 12, d: 13, e: 14, f: 15, result: 0 }
const [rsp, rsi, rdi, rdx, r10] = [4, 6, 7, 2, 10]
const scratch = 0
const amdJumps: Readonly<Record<Condition, number>> = { equal: 0x84, unequal: 0x85, less: 0x8c, greater: 0x8f }

class Amd64 extends Code implements Assembler {
  enter(to: Register, frameBytes: number): void {
    this.#move(amdRegisters[to], rsp)
    this.emit(0x48, 0x81, 0xec, ...u32(frameBytes)) // sub rsp, frame
  }

  frame(to: Register, offset: number): void {
    this.#frame(amdRegisters[to], offset)
  }

  copy(to: Register, from: Register | 'result'): void {
    this.#move(amdRegisters[to], amdRegisters[from])
  }

  set(to: Register, value: number): void {
    this.#set(amdRegisters[to], value)
  }

  add(to: Register, value: number): void {
    const register = amdRegisters[to]
    this.emit(rex(0, register), 0x81, 0xc0 | (register & 7), ...u32(value)) // add r, imm32
  }

  and(to: Register, value: number): void {
    const register = amdRegisters[to]
    this.emit(rex(0, register), 0x81, 0xe0 | (register & 7), ...u32(value)) // and r, imm32
  }

  load8(to: Register, from: Register): void {
    // movzx r, byte [r + 0]
    this.emit(rex(amdRegisters[to], amdRegisters[from]), 0x0f, 0xb6, ...at(amdRegisters[to], amdRegisters[from], 0))
  }

  load32(to: Register, from: Register, offset: number): void {
    // mov r32, [r + offset], which clears the upper half
    const [target, base] = [amdRegisters[to], amdRegisters[from]]
    this.emit(rex(target, base) & ~8, 0x8b, ...at(target, base, offset))
  }

  load64(to: Register, from: Register, offset: number): void {
    const [target, base] = [amdRegisters[to], amdRegisters[from]]
    this.emit(rex(target, base), 0x8b, ...at(target, base, offset))
  }

  store8(to: Register, value: Register): void {
    // mov byte [r + 0], r8; with a REX prefix the low byte of any register
    this.emit(rex(amdRegisters[value], amdRegisters[to]), 0x88, ...at(amdRegisters[value], amdRegisters[to], 0))
  }

  store64(offset: number, value: bigint): void {
    this.emit(0x48, 0xb8, ...u64(value)) // mov rax, imm64
    this.emit(0x48, 0x89, ...at(scratch, rsp, offset))
  }

  jump(label: string): void {
    this.emit(0xe9)
    this.emitJump(label, (distance) => distance - 4)
  }

  branch(left: Register | 'result', condition: Condition, right: Register | number, label: string): void {
    const register = amdRegisters[left]
    if (typeof right === 'number')
      this.emit(rex(0, register), 0x81, 0xf8 | (register & 7), ...u32(right)) // cmp r, imm32
    else this.emit(rex(amdRegisters[right], register), 0x39, 0xc0 | ((amdRegisters[right] & 7) << 3) | (register & 7))
    this.emit(0x0f, amdJumps[condition])
    this.emitJump(label, (distance) => distance - 4)
  }

  call(name: SystemCall, ...operands: readonly Operand[]): void {
    for (const [index, operand] of operands.entries()) {
      const register = [rdi, rsi, rdx, r10][index] ?? rdi
      if (typeof operand === 'number') this.#set(register, operand)
      else if (typeof operand === 'string') this.#move(register, amdRegisters[operand])
      else this.#frame(register, operand.frame)
    }
    this.#set(scratch, numbers[name].amd64)
    this.emit(0x0f, 0x05)
  }

  #move(to: number, from: number): void {
    this.emit(rex(from, to), 0x89, 0xc0 | ((from & 7) << 3) | (to & 7))
  }

  #set(to: number, value: number): void {
    this.emit(rex(0, to), 0xc7, 0xc0 | (to & 7), ...u32(value)) // mov r, imm32 with its sign
  }

  #frame(to: number, offset: number): void {
    this.emit(rex(to, rsp), 0x8d, ...at(to, rsp, offset)) // lea
  }
}

/** Prefix for 64-bit operands; the fourth bits of both registers. */
const rex = (register: number, base: number): number => 0x48 | (register >> 3 ? 4 : 0) | (base >> 3 ? 1 : 0)

/** The operand `[base + offset]`; rsp and r12 need one byte more. */
function at(register: number, base: number, offset: number): number[] {
  const mode = 0x80 | ((register & 7) << 3) | (base & 7)
  return (base & 7) === rsp ? [mode, 0x24, ...u32(offset)] : [mode, ...u32(offset)]
}

/** x19 to x24: callee-saved by convention; the kernel leaves all but x0 alone. */
const armRegisters: Readonly<Record<Register | 'result', number>> = { a: 19, b: 20, c: 21, d: 22, e: 23, f: 24, result: 0 }
const [sp, armScratch, x8] = [31, 9, 8]
const armConditions: Readonly<Record<Condition, number>> = { equal: 0, unequal: 1, less: 11, greater: 12 }

class Arm64 extends Code implements Assembler {
  enter(to: Register, frameBytes: number): void {
    this.#word(0x91000000 | (sp << 5) | armRegisters[to]) // mov to, sp
    this.#set(armScratch, BigInt(frameBytes))
    this.#word(0xcb2063ff | (armScratch << 16)) // sub sp, sp, x9, uxtx
  }

  frame(to: Register, offset: number): void {
    this.#frame(armRegisters[to], offset)
  }

  copy(to: Register, from: Register | 'result'): void {
    this.#move(armRegisters[to], armRegisters[from])
  }

  set(to: Register, value: number): void {
    this.#set(armRegisters[to], BigInt(value))
  }

  add(to: Register, value: number): void {
    this.#set(armScratch, BigInt(value))
    this.#word(0x8b000000 | (armScratch << 16) | (armRegisters[to] << 5) | armRegisters[to])
  }

  and(to: Register, value: number): void {
    this.#set(armScratch, BigInt(value))
    this.#word(0x8a000000 | (armScratch << 16) | (armRegisters[to] << 5) | armRegisters[to])
  }

  load8(to: Register, from: Register): void {
    this.#word(0x39400000 | (armRegisters[from] << 5) | armRegisters[to]) // ldrb
  }

  load32(to: Register, from: Register, offset: number): void {
    this.#word(0xb9400000 | ((offset / 4) << 10) | (armRegisters[from] << 5) | armRegisters[to]) // ldr w
  }

  load64(to: Register, from: Register, offset: number): void {
    this.#word(0xf9400000 | ((offset / 8) << 10) | (armRegisters[from] << 5) | armRegisters[to]) // ldr x
  }

  store8(to: Register, value: Register): void {
    this.#word(0x39000000 | (armRegisters[to] << 5) | armRegisters[value]) // strb
  }

  store64(offset: number, value: bigint): void {
    this.#set(armScratch, value)
    this.#word(0xf9000000 | ((offset / 8) << 10) | (sp << 5) | armScratch) // str x9, [sp + offset]
  }

  jump(label: string): void {
    this.emitJump(label, (distance) => 0x14000000 | ((distance / 4) & 0x3ffffff))
  }

  branch(left: Register | 'result', condition: Condition, right: Register | number, label: string): void {
    if (typeof right === 'number') this.#set(armScratch, BigInt(right))
    const other = typeof right === 'number' ? armScratch : armRegisters[right]
    this.#word(0xeb00001f | (other << 16) | (armRegisters[left] << 5)) // cmp
    this.emitJump(label, (distance) => 0x54000000 | (((distance / 4) & 0x7ffff) << 5) | armConditions[condition])
  }

  call(name: SystemCall, ...operands: readonly Operand[]): void {
    for (const [index, operand] of operands.entries()) {
      if (typeof operand === 'number') this.#set(index, BigInt(operand))
      else if (typeof operand === 'string') this.#move(index, armRegisters[operand])
      else this.#frame(index, operand.frame)
    }
    this.#set(x8, BigInt(numbers[name].arm64))
    this.#word(0xd4000001) // svc 0
  }

  #move(to: number, from: number): void {
    this.#word(0xaa0003e0 | (from << 16) | to)
  }

  /** movz and as many movk as it takes. */
  #set(to: number, value: bigint): void {
    const bits = BigInt.asUintN(64, value)
    this.#word(0xd2800000 | (Number(bits & 0xffffn) << 5) | to)
    for (const part of [1, 2, 3]) {
      const half = Number((bits >> BigInt(16 * part)) & 0xffffn)
      if (half !== 0) this.#word(0xf2800000 | (part << 21) | (half << 5) | to)
    }
  }

  #frame(to: number, offset: number): void {
    this.#set(armScratch, BigInt(offset))
    this.#word(0x8b2063e0 | (armScratch << 16) | to) // add to, sp, x9, uxtx
  }

  #word(word: number): void {
    this.emit(...u32(word >>> 0))
  }
}

function u32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff]
}

function u64(value: bigint): number[] {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value))
  return [...bytes]
}
