import { type Assembler, assemble } from './assembler.ts'
import { type Architecture, elfFile } from './elf.ts'

/** What the gate is called by the kernel while it waits; the program's file has the same name. */
export const waitingName = 'skiff-gate'
/** What it is called when it could not become the command. */
export const failedName = 'skiff-failed'

/**
 * The gate of a container in a sandbox that was prepared ahead: `skiff-gate HOSTNAME COMMAND ARG…` waits until the
 * kernel's host name is HOSTNAME, and becomes COMMAND. The engine gives such a container the sandbox's host name, and
 * the agent puts the pod's in its place; so no instruction of the command ever sees the wrong one.
 *
 * COMMAND is looked for as the engine does. Where the gate fails or is in doubt (an entry of PATH that is not absolute)
 * it changes its name to `skiff-failed` and waits to be removed: the engine then judges the command, in its own words.
 * A signal that asks for an end is obeyed, and after ten minutes without a host name it ends with 1.
 */
export function gateElf(architecture: Architecture): Uint8Array {
  return elfFile(
    architecture,
    assemble(architecture, (asm) => {
      begin(asm)
      waitForName(asm)
      findCommand(asm)
      searchPath(asm)
      become(asm, architecture)
      end(asm)
    }),
  )
}

/** The frame: places of what the program keeps on its stack, from the stack pointer upwards. */
const places = { signals: 0, oldMask: 8, step: 16, name: 32, uts: 64, stat: 512, path: 1024 } as const
const frameBytes = 8_192
const maxPath = 4_096
/** Offset of the host name in what uname gives. */
const nodeName = 65
const slash = '/'.charCodeAt(0)
const colon = ':'.charCodeAt(0)
const [sigBlock, sigSetMask, setName, atCwd] = [0, 2, 15, -100]
const modeOffset: Readonly<Record<Architecture, number>> = { amd64: 24, arm64: 16 }

/** SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, and SIGRTMIN+3, by which systemd is stopped. */
const endSignals = [1, 2, 3, 10, 12, 15, 37].reduce((mask, signal) => mask | (1n << BigInt(signal - 1)), 0n)
const shortStep = { count: 4_000, nanoseconds: 1_000_000n }
const longStep = { count: 9_375, nanoseconds: 64_000_000n }

/** `a` is where the arguments lie, throughout. */
function begin(asm: Assembler): void {
  asm.enter('a', frameBytes)
  asm.load64('b', 'a', 0)
  asm.branch('b', 'less', 3, 'usage')
  asm.store64(places.signals, endSignals)
  asm.store64(places.step, 0n)
  asm.store64(places.step + 8, shortStep.nanoseconds)
  // Blocked, so that they reach the first process of a container, too.
  asm.call('rt_sigprocmask', sigBlock, { frame: places.signals }, { frame: places.oldMask }, 8)
  asm.set('f', 0)
}

function waitForName(asm: Assembler): void {
  asm.label('look')
  asm.call('uname', { frame: places.uts })
  asm.frame('b', places.uts + nodeName)
  asm.load64('c', 'a', 16)
  asm.label('compare')
  asm.load8('d', 'b')
  asm.load8('e', 'c')
  asm.branch('d', 'unequal', 'e', 'wait')
  asm.branch('d', 'equal', 0, 'go')
  asm.add('b', 1)
  asm.add('c', 1)
  asm.jump('compare')
  asm.label('wait')
  asm.call('rt_sigtimedwait', { frame: places.signals }, 0, { frame: places.step }, 8)
  asm.branch('result', 'greater', 0, 'signalled')
  asm.add('f', 1)
  asm.branch('f', 'equal', shortStep.count + longStep.count, 'late')
  asm.branch('f', 'unequal', shortStep.count, 'look')
  asm.store64(places.step + 8, longStep.nanoseconds)
  asm.jump('look')
}

/** `b`: the command; `c`: the environment. */
function findCommand(asm: Assembler): void {
  asm.label('go')
  asm.call('rt_sigprocmask', sigSetMask, { frame: places.oldMask }, 0, 8)
  asm.copy('c', 'a')
  asm.label('argument')
  asm.add('c', 8)
  asm.load64('d', 'c', 0)
  asm.branch('d', 'unequal', 0, 'argument')
  asm.add('c', 8)
  asm.load64('b', 'a', 24)
  asm.copy('d', 'b')
  asm.label('letter')
  asm.load8('e', 'd')
  asm.branch('e', 'equal', slash, 'direct')
  asm.add('d', 1)
  asm.branch('e', 'unequal', 0, 'letter')
  asm.jump('search')
  asm.label('direct')
  asm.copy('d', 'a')
  asm.add('d', 24)
  asm.call('execve', 'b', 'd', 'c')
  asm.jump('fail')
}

/** `d`: where in PATH. */
function searchPath(asm: Assembler): void {
  asm.label('search')
  asm.load8('e', 'b')
  asm.branch('e', 'equal', 0, 'fail')
  asm.copy('f', 'c')
  asm.label('variable')
  asm.load64('d', 'f', 0)
  asm.branch('d', 'equal', 0, 'fail')
  asm.add('f', 8)
  for (const letter of 'PATH=') {
    asm.load8('e', 'd')
    asm.branch('e', 'unequal', letter.charCodeAt(0), 'variable')
    asm.add('d', 1)
  }
  asm.label('folder')
  asm.load8('e', 'd')
  asm.branch('e', 'unequal', slash, 'fail')
  asm.frame('f', places.path)
  asm.label('copyFolder')
  asm.load8('e', 'd')
  asm.branch('e', 'equal', 0, 'join')
  asm.branch('e', 'equal', colon, 'join')
  writeLetter(asm)
  asm.add('d', 1)
  asm.jump('copyFolder')
  asm.label('join')
  asm.set('e', slash)
  writeLetter(asm)
}

/** The letter in `e` goes to where `f` points in the path, which must not get too long. */
function writeLetter(asm: Assembler): void {
  asm.store8('f', 'e')
  asm.add('f', 1)
  asm.frame('e', places.path + maxPath)
  asm.branch('f', 'equal', 'e', 'fail')
}

function become(asm: Assembler, architecture: Architecture): void {
  asm.label('copyName')
  asm.load8('e', 'b')
  asm.branch('e', 'equal', 0, 'try')
  writeLetter(asm)
  asm.add('b', 1)
  asm.jump('copyName')
  asm.label('try')
  asm.store8('f', 'e')
  asm.load64('b', 'a', 24)
  asm.call('newfstatat', atCwd, { frame: places.path }, { frame: places.stat }, 0)
  asm.branch('result', 'unequal', 0, 'next')
  asm.frame('f', places.stat)
  asm.load32('e', 'f', modeOffset[architecture])
  asm.and('e', 0o111)
  asm.branch('e', 'equal', 0, 'next')
  asm.load32('e', 'f', modeOffset[architecture])
  asm.and('e', 0o170000)
  asm.branch('e', 'equal', 0o040000, 'next')
  asm.copy('f', 'a')
  asm.add('f', 24)
  asm.call('execve', { frame: places.path }, 'f', 'c')
  asm.jump('fail')
  asm.label('next')
  asm.load8('e', 'd')
  asm.branch('e', 'equal', 0, 'fail')
  asm.add('d', 1)
  asm.jump('folder')
}

function end(asm: Assembler): void {
  asm.label('fail')
  const name = Buffer.alloc(16)
  name.write(failedName)
  asm.store64(places.name, name.readBigUInt64LE(0))
  asm.store64(places.name + 8, name.readBigUInt64LE(8))
  asm.call('prctl', setName, { frame: places.name })
  asm.call('rt_sigprocmask', sigBlock, { frame: places.signals }, 0, 8)
  asm.label('removed')
  asm.call('rt_sigtimedwait', { frame: places.signals }, 0, 0, 8)
  asm.branch('result', 'less', 1, 'removed')
  asm.call('exit_group', 127)
  asm.label('signalled')
  asm.copy('b', 'result')
  asm.add('b', 128)
  asm.call('exit_group', 'b')
  asm.label('late')
  asm.call('exit_group', 1)
  asm.label('usage')
  asm.call('exit_group', 64)
}
