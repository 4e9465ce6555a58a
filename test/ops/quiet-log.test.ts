/** A flood of troubles is a line a period, with how many were left out; and one line when it is over. */
import { beforeEach, expect, it } from 'vitest'
import { QuietLog } from '../../src/ops/quiet-log.ts'
import { ManualClock } from '../clock.ts'

let clock: ManualClock
let said: string[]
let quiet: QuietLog

beforeEach(() => {
  clock = new ManualClock()
  said = []
  const line = (level: string) => (fields: object, message: string) => void said.push(`${level} ${message} ${JSON.stringify(fields)}`)
  quiet = new QuietLog({ logger: { info: line('info'), warn: line('warn') }, clock, quietMs: 60_000 })
})

const warn = (trouble = 'mail') => quiet.warn(trouble, { to: 'ana' }, 'it fails')

it('tells a trouble at once, then once a period with how many were left out', async () => {
  for (let i = 0; i < 3; i++) warn()
  await clock.advance(59_999)
  warn()
  await clock.advance(1)
  warn()
  expect(said).toEqual(['warn it fails {"to":"ana","leftOut":0}', 'warn it fails {"to":"ana","leftOut":3}'])
})

it('goes by no clock that can be set', () => {
  warn()
  clock.step(3_600_000)
  warn()
  expect(said).toHaveLength(1)
})

it('keeps the troubles apart', () => {
  warn('mail')
  warn('chat')
  expect(said).toHaveLength(2)
})

it('is quiet for a second where no period is given', async () => {
  const usual = new QuietLog({ logger: { info: () => undefined, warn: () => said.push('warn') }, clock })
  usual.warn('mail', {}, 'it fails')
  await clock.advance(999)
  usual.warn('mail', {}, 'it fails')
  expect(said).toHaveLength(1)
  await clock.advance(1)
  usual.warn('mail', {}, 'it fails')
  expect(said).toHaveLength(2)
})

it('tells once that a trouble is over, and only one that was told', () => {
  quiet.over('mail', {}, 'it works again')
  warn()
  warn()
  quiet.over('mail', {}, 'it works again')
  quiet.over('mail', {}, 'it works again')
  warn()
  quiet.over('mail', {}, 'it works again')
  expect(said).toEqual(['warn it fails {"to":"ana","leftOut":0}', 'info it works again {"leftOut":1}'])
})
