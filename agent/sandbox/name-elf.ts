import { assemble } from './assembler.ts'
import { type Architecture, elfFile } from './elf.ts'

/** What the program ends with when it is run without its two arguments. */
export const nameUsageCode = 64

const [atCwd, cloneNewUts] = [-100, 0x0400_0000]

/**
 * `skiff-name NAMESPACE HOSTNAME` sets the host name in the namespace that the file stands for, and ends with 0. A
 * program of a dozen system calls: `nsenter` and a shell, which it stands for, take two milliseconds to be loaded.
 */
export function nameElf(architecture: Architecture): Uint8Array {
  const code = assemble(architecture, (asm) => {
    asm.enter('a', 64)
    asm.load64('b', 'a', 0)
    asm.branch('b', 'unequal', 3, 'usage')
    asm.load64('b', 'a', 16)
    asm.call('openat', atCwd, 'b', 0, 0)
    asm.branch('result', 'less', 0, 'failed')
    asm.copy('b', 'result')
    asm.call('setns', 'b', cloneNewUts)
    asm.branch('result', 'unequal', 0, 'failed')
    // `f`: how long the name is.
    asm.load64('c', 'a', 24)
    asm.copy('d', 'c')
    asm.set('f', 0)
    asm.label('letter')
    asm.load8('e', 'd')
    asm.branch('e', 'equal', 0, 'set')
    asm.add('d', 1)
    asm.add('f', 1)
    asm.jump('letter')
    asm.label('set')
    asm.call('sethostname', 'c', 'f')
    asm.branch('result', 'unequal', 0, 'failed')
    asm.call('exit_group', 0)
    asm.label('failed')
    asm.call('exit_group', 1)
    asm.label('usage')
    asm.call('exit_group', nameUsageCode)
  })
  return elfFile(architecture, code)
}
