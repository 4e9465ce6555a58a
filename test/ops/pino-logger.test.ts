/** The Logger port over pino: JSON lines, and plain ones. */
import { describe, expect, test } from 'vitest'
import { PipelineError } from '../../src/core/errors.ts'
import { pinoLogger, plainLine } from '../../src/ops/pino-logger.ts'
import type { LogLevel } from '../../src/ops/pino-logger.ts'
import { ManualClock } from '../clock.ts'

function logged(level: LogLevel = 'info') {
  const lines: string[] = []
  const logger = pinoLogger({ clock: new ManualClock(1_700_000_000_000), level, out: { write: (line) => void lines.push(line) } })
  return { logger, lines, json: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

describe('pinoLogger', () => {
  test('writes one JSON object a line, with the clock it was given and the level by name', () => {
    const { logger, json } = logged()
    logger.warn({ device: 'p1' }, 'odd')
    expect(json()).toEqual([{ level: 'warn', time: 1_700_000_000_000, device: 'p1', msg: 'odd' }])
  })

  test('leaves out what is below its level', () => {
    const { logger, lines } = logged('warn')
    logger.info({}, 'quiet')
    logger.debug({}, 'quieter')
    expect(lines).toEqual([])
  })

  test('writes an error with its code and stack', () => {
    const { logger, json } = logged()
    logger.error({ error: new PipelineError('IO', 'disk says no') }, 'append failed')
    expect(json()[0]?.['error']).toMatchObject({ message: 'disk says no', code: 'IO', stack: expect.stringContaining('PipelineError') })
  })
})

describe('plainLine', () => {
  test('puts time of day, level and message first, then the fields', () => {
    const { logger, lines } = logged()
    logger.info({ device: 'p 1', partition: 3, class: 'pump' }, 'incident opened')
    expect(plainLine(lines[0]!)).toBe('22:13:20.000 INFO  incident opened device="p 1" partition=3 class=pump\n')
  })

  test('lets no control character of a name reach the terminal', () => {
    const { logger, lines } = logged()
    logger.info({ device: '\u001b[31mred\nnext' }, 'from \u001b]0;title')
    expect(plainLine(lines[0]!)).not.toMatch(/\u001b|\n./)
  })

  test('lets no name turn the direction of the line', () => {
    const { logger, lines } = logged()
    logger.info({ device: 'a\u202eb', all: ['\u2066'] }, 'from \u200f')
    expect(plainLine(lines[0]!)).not.toMatch(/\p{Bidi_Control}/u)
  })

  test('shows the stack of an error', () => {
    const { logger, lines } = logged()
    logger.error({ error: new Error('no') }, 'failed')
    expect(plainLine(lines[0]!)).toMatch(/error=no\n {2}Error: no\n {6}at /)
  })
})
