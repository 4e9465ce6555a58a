/** `picket log read`: which records it prints, in which order, and how it ends. */
import { describe, expect, test } from 'vitest'
import type { LogRecord } from '../../src/log/log.ts'
import { ManualClock, settle } from '../clock.ts'
import { aConfig, makeLab, readerOf } from './lab.ts'

const json = (value: unknown, key = 'k'): LogRecord => ({ key, value: Buffer.from(JSON.stringify(value)) })
const two = [[json('a'), json('b'), json('c')], [json('d')]]

function reading(...args: Parameters<typeof readerOf>) {
  const clock = new ManualClock()
  const [topic] = args
  const reader = readerOf(...args)
  const lab = makeLab({ reader, clock })
  const config = aConfig()
  return { ...lab, clock, reader, read: (...more: string[]) => lab.run('log', 'read', topic, '--config', config, ...more) }
}

const values = (lines: readonly unknown[]) => lines.map((line) => (line as { value: unknown }).value)

describe('log read', () => {
  test('prints for people what can not steer their terminal', async () => {
    const { read } = reading('requests', [[json('a\u202eb')]])
    expect((await read()).stdout).toBe('0/0  {"key":"k","value":"a\\u202eb"}\n')
  })

  test('prints partition after partition, a JSON object a line', async () => {
    const { read, reader } = reading('requests', two)
    const ended = await read('--json')
    expect(ended.code).toBe(0)
    expect(ended.json).toEqual([
      { offset: 0, partition: 0, key: 'k', value: 'a' },
      { offset: 1, partition: 0, key: 'k', value: 'b' },
      { offset: 2, partition: 0, key: 'k', value: 'c' },
      { offset: 0, partition: 1, key: 'k', value: 'd' },
    ])
    expect(reader.closed()).toBe(1)
  })

  test.each([
    [['--partition', '1'], ['d']],
    [['--from', '1'], ['b', 'c']],
    [['--limit', '2'], ['a', 'b']],
    [['--limit', '4'], ['a', 'b', 'c', 'd']],
    [['--from', '2', '--partition', '0'], ['c']],
  ])('%j picks %j', async (args, expected) => {
    expect(values((await reading('requests', two).read('--json', ...args)).json)).toEqual(expected)
  })

  test('reads on past its batch size', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => json(i))
    expect(values((await reading('requests', [many, [json('last')]]).read('--json')).json)).toEqual([...many.keys(), 'last'])
  })

  test('starts at the oldest record kept, and says when --from lies before it', async () => {
    const { read } = reading('requests', [two[0]!], 1)
    const fromStart = await read('--json')
    expect([values(fromStart.json), fromStart.stderr]).toEqual([['b', 'c'], ''])
    const { stderr } = await reading('requests', [two[0]!], 1).read('--json', '--from', '0')
    expect(stderr).toContain('partition 0: 1 records before offset 1 are no longer kept')
  })

  test('shows lines to people', async () => {
    expect((await reading('requests', [[json('a')]]).read()).stdout).toBe('0/0  {"key":"k","value":"a"}\n')
  })

  test('a topic of one partition has no second one', async () => {
    const { code, stderr } = await reading('actions', two).read('--partition', '1')
    expect(code).toBe(2)
    expect(stderr).toContain('actions has partitions 0 to 0')
  })

  test('a record that cannot be decoded is shown as such, the rest is read, and the verb ends with 1', async () => {
    const { code, json: lines, stderr } = await reading('incidents', [[{ key: 'x', value: Buffer.from('rubbish') }, { key: 'y', value: Buffer.from('more') }]]).read('--json')
    expect(code).toBe(1)
    expect(lines).toMatchObject([{ offset: 0, error: expect.stringContaining('not a') }, { offset: 1 }])
    expect(stderr).toContain('2 records could not be decoded')
  })

  test('damage of the log is told, but not the torn end that every crash leaves', async () => {
    const damaged = [
      { what: 'torn', file: 'ledger-3', at: 900, detail: 'cut short' },
      { what: 'entry', file: 'bulk-1', at: 640, detail: 'readings/0 at 7 is lost' },
    ]
    const { code, stderr } = await reading('requests', [two[0]!], 0, damaged).read('--json')
    expect([code, stderr]).toEqual([0, 'damaged: bulk-1 at byte 640: readings/0 at 7 is lost\n'])
  })

  test('--follow prints what comes later, in whichever partition', async () => {
    const growing: LogRecord[][] = [[], [json('a')]]
    const clock = new ManualClock()
    const reader = { ...readerOf('requests', growing), read: (...args: Parameters<ReturnType<typeof readerOf>['read']>) => readerOf('requests', growing).read(...args) }
    const lab = makeLab({ reader, clock })
    const ended = lab.run('log', 'read', 'requests', '--json', '--follow', '--limit', '3', '--config', aConfig())
    await settle()
    expect(lab.printed.stdout).toContain('"a"')
    growing[0]!.push(json('b'))
    await clock.advance(500)
    expect(lab.printed.stdout).toContain('"b"')
    growing[1]!.push(json('c'))
    await clock.advance(500)
    expect(values((await ended).json)).toEqual(['a', 'b', 'c'])
  })
})
