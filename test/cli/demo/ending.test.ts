/** What ends a demonstration before its time. */
import { describe, expect, it } from 'vitest'
import { endingOf } from '../../../src/cli/demo/ending.ts'
import { ManualClock } from '../../clock.ts'
import { makeLab, MemoryHost } from '../lab.ts'

function ending() {
  const host = new MemoryHost()
  const clock = new ManualClock()
  const { io, printed } = makeLab({ host, clock })
  let cleaned = 0
  const one = endingOf(io, () => void cleaned++)
  return { host, clock, printed, one, cleaned: () => cleaned }
}

describe('an ending', () => {
  it('is asked for by the first signal', () => {
    const { host, one } = ending()
    expect([one.signal.aborted, one.signalled]).toEqual([false, false])
    host.signal('SIGINT')
    expect([one.signal.aborted, one.signalled, one.error]).toEqual([true, true, null])
  })

  it('takes the echo of a Ctrl-C under npm for the same one', async () => {
    const { host, clock, cleaned } = ending()
    host.signal('SIGINT')
    await clock.advance(499)
    host.signal('SIGINT')
    expect([host.exits, cleaned()]).toEqual([[], 0])
  })

  it('comes at once by a second signal, after cleaning up', async () => {
    const { host, clock, cleaned } = ending()
    host.signal('SIGINT')
    await clock.advance(500)
    host.signal('SIGTERM')
    expect([host.exits, cleaned()]).toEqual([[143], 1])
  })

  it('comes by what Picket cannot go on after, with why', () => {
    const { one } = ending()
    one.fail(new Error('the disk is full'))
    one.fail(new Error('another'))
    expect([one.signal.aborted, one.signalled, one.error]).toEqual([true, false, 'the disk is full'])
  })

  it('comes at once by what nobody caught, which is said', () => {
    const { host, printed, cleaned } = ending()
    host.uncaught(new Error('a bug'))
    expect([host.exits, cleaned()]).toEqual([[1], 1])
    expect(printed.stderr).toContain('a bug')
  })
})
