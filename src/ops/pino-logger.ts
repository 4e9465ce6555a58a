/** Adapter of the Logger port over pino: JSON lines for collectors, plain lines for the person at a terminal. */
import { pino } from 'pino'
import type { DestinationStream } from 'pino'
import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'

/** Most bytes of lines that wait for a slow reader; beyond it lines are dropped and `onDrop` told. */
const MAX_WAITING = 4 * 1024 * 1024

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface PinoLogger extends Logger {
  /** Writes what waits, at once: before the process ends. */
  flush(): void
}

/** Logger to file descriptor 2, so that stdout stays what a command answers. `terminal`: plain lines instead of JSON. `onDrop`: a line was lost. */
export function openPinoLogger(options: {
  readonly clock: Clock
  readonly level: LogLevel
  readonly terminal: boolean
  readonly onDrop: () => void
}): PinoLogger {
  const out = pino.destination({ dest: 2, sync: false, maxLength: MAX_WAITING })
  out.on('drop', options.onDrop)
  // A full disk behind stderr must not end the service: the lines wait up to the bound, then drop.
  out.on('error', options.onDrop)
  const lines: DestinationStream = options.terminal ? { write: (line) => void out.write(plainLine(line)) } : out
  const flush = () => {
    try {
      out.flushSync()
    } catch {
      options.onDrop()
    }
  }
  return { ...pinoLogger({ clock: options.clock, level: options.level, out: lines }), flush }
}

/** The port over any sink of lines; JSON {level, time, msg, …fields}. An `error` field comes with its stack. */
export function pinoLogger(options: { readonly clock: Clock; readonly level: LogLevel; readonly out: DestinationStream }): Logger {
  const { clock, level, out } = options
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":${Math.round(clock.now())}`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    out,
  )
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  }
}

/** One JSON line of pino's as a line for people: time of day, level, message, then key=value. */
export function plainLine(json: string): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as Record<string, unknown>
  const clock = new Date(Number(time)).toISOString().slice(11, 23)
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${plainValue(value)}`)
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${clean(String(msg ?? ''))}${pairs.join('')}\n`
}

function plainValue(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=\p{C}]+$/u.test(value) ? value : JSON.stringify(clean(value))
  if (value !== null && typeof value === 'object' && 'stack' in value && 'message' in value)
    return [String(value.message), ...String(value.stack).split('\n')].map(clean).join('\n  ')
  return clean(JSON.stringify(value))
}

/** Names come from devices: nothing of theirs steers a terminal, or turns the direction of what stands around it. */
function clean(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (char) => {
    const code = char.charCodeAt(0).toString(16)
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`
  })
}
