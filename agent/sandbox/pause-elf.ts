import { elfFile, programArchitecture } from './elf.ts'

/**
 * The first process of a sandbox, as bytes: it waits for signals, reaps the children that a shared process table may
 * leave it, and ends on SIGTERM or SIGINT. Written here because no compiler may be on the node; a static ELF file of one
 * loadable segment.
 */
export function pauseElf(name: string): Uint8Array {
  const architecture = programArchitecture(name)
  if (architecture === undefined) throw new RangeError(`no sandbox program for the architecture "${name}"`)
  return elfFile(architecture, architecture === 'amd64' ? Uint8Array.from(x86Wait()) : armCode())
}

/** Bit n-1 stands for signal n: SIGINT 2, SIGTERM 15, SIGCHLD 17. */
const waitedSignals = (1n << 1n) | (1n << 14n) | (1n << 16n)
const sigChld = 17

const x86Syscall = [0x0f, 0x05]
const x86Load = (register: number, value: number): number[] => [0xb8 + register, ...u32(value)]
const [eax, edx, esi, edi] = [0, 2, 6, 7]

/** The signal set lies right after the code; both programs are the same, step by step. */
function x86Wait(): number[] {
  const [syscall, load] = [x86Syscall, x86Load]
  const setBytes = [0x41, 0xba, ...u32(8)] // mov r10d, 8
  const clearR10 = [0x45, 0x31, 0xd2] // xor r10d, r10d

  // rt_sigprocmask(SIG_BLOCK, set, null, 8); the set's address is filled in below.
  const block = (toSet: number) => [
    ...load(eax, 14),
    ...load(edi, 0),
    ...[0x48, 0x8d, 0x35, ...u32(toSet)], // lea rsi, [rip + toSet]
    ...load(edx, 0),
    ...setBytes,
    ...syscall,
  ]
  // rt_sigtimedwait(set, null, null, 8)
  const wait = (toSet: number) => [
    ...load(eax, 128),
    ...[0x48, 0x8d, 0x3d, ...u32(toSet)], // lea rdi, [rip + toSet]
    ...load(esi, 0),
    ...load(edx, 0),
    ...setBytes,
    ...syscall,
  ]
  // wait4(-1, null, WNOHANG, null), again while it finds one
  const reap = [...load(eax, 61), ...load(edi, 0xffffffff), ...load(esi, 0), ...load(edx, 1), ...clearR10, ...syscall]
  const reapAgain = [0x85, 0xc0, 0x7f, s8(-(reap.length + 4))] // test eax, eax; jg reap
  const isChild = (skip: number) => [0x83, 0xf8, sigChld, 0x75, s8(skip)] // cmp eax, SIGCHLD; jne skip
  const exit = [...load(eax, 231), ...load(edi, 0), ...syscall]

  const waitBytes = wait(0).length
  const childBytes = reap.length + reapAgain.length + 2
  const backToWait = s8(-(waitBytes + 5 + childBytes))
  const isError = [0x85, 0xc0, 0x78, s8(-(waitBytes + 5 + childBytes + 4))] // test eax, eax; js wait
  const afterWait = [...isChild(childBytes), ...reap, ...reapAgain, 0xeb, backToWait, ...isError, ...exit]
  const rest = waitBytes + afterWait.length
  // Offsets count from the end of the lea: 16 and 23 bytes of the step come after it.
  const blockTail = block(0).length - 17
  const waitTail = waitBytes - 12
  return [...block(blockTail + rest), ...wait(waitTail + afterWait.length), ...afterWait, ...signalSet()]
}

const armSyscall = 0xd4000001
const armLoad = (register: number, value: number): number => 0xd2800000 | (value << 5) | register
const armCompare = (value: number): number => 0x7100001f | (value << 10) // cmp w0, value
const armBranchIf = (condition: number, words: number): number => 0x54000000 | ((words & 0x7ffff) << 5) | condition

function armCode(): Uint8Array {
  const [movz, compare, branchIf, svc] = [armLoad, armCompare, armBranchIf, armSyscall]
  const minusOne = (register: number): number => 0x92800000 | register // movn register, 0
  const adr = (register: number, words: number): number => 0x10000000 | ((words & 0x7ffff) << 5) | register
  const branch = (words: number): number => 0x14000000 | (words & 0x3ffffff)
  const [ne, lt, gt] = [1, 11, 12]
  const toSet = (from: number): number => 30 - from
  const words = [
    // 0: rt_sigprocmask(SIG_BLOCK, set, null, 8)
    ...[movz(0, 0), adr(1, toSet(1)), movz(2, 0), movz(3, 8), movz(8, 135), svc],
    // 6: rt_sigtimedwait(set, null, null, 8)
    ...[adr(0, toSet(6)), movz(1, 0), movz(2, 0), movz(3, 8), movz(8, 137), svc],
    // 12: on to 23 unless it was SIGCHLD
    ...[compare(sigChld), branchIf(ne, 10)],
    // 14: wait4(-1, null, WNOHANG, null), again while it finds one
    ...[minusOne(0), movz(1, 0), movz(2, 1), movz(3, 0), movz(8, 260), svc, compare(0), branchIf(gt, -7), branch(-16)],
    // 23: an interrupted wait goes on
    ...[compare(0), branchIf(lt, -18)],
    // 25: exit_group(0)
    ...[movz(0, 0), movz(8, 94), svc],
    // 28: padding, so that the set lies at 30, on a multiple of eight
    ...[svc, svc],
  ]
  return Uint8Array.from([...words.flatMap((word) => u32(word >>> 0)), ...signalSet()])
}

function signalSet(): number[] {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(waitedSignals)
  return [...bytes]
}

function u32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff]
}

function s8(value: number): number {
  if (value < -128 || value > 127) throw new RangeError(`a short jump cannot reach ${value} bytes`)
  return value & 0xff
}
