// A program that does nothing but tell how late its event loop was: what the machine costs. A child of bench/scale.ts.
import './loop-delay.ts'
import process from 'node:process'

process.on('disconnect', () => process.exit(0))
process.channel?.ref()
