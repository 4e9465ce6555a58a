/** Where the embedded broker may listen, and what an address that it can't have is told as. */
import { PipelineError } from '../core/errors.ts'

export interface ListenAddress {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
}

const LOOPBACK = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1)$/

/** Throws BAD_CONFIG for an address others can reach. */
export function requireLoopback({ host, port }: ListenAddress): void {
  if (LOOPBACK.test(host)) return
  throw new PipelineError(
    'BAD_CONFIG',
    `MQTT may not listen on ${host}:${port} without credentials: anyone could be any device. ` +
      'Listen on 127.0.0.1, ::1 or localhost, or name a credentials file (mosquitto_passwd makes it)',
  )
}

/** Errors of an address that waiting does not mend: taken, not ours to use, not of this machine. */
const ADDRESS_ERRORS = new Set(['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND'])

export function listenError(cause: NodeJS.ErrnoException, { host, port }: ListenAddress): PipelineError {
  const code = ADDRESS_ERRORS.has(cause.code ?? '') ? 'BAD_CONFIG' : 'IO'
  return new PipelineError(code, `MQTT can't listen on ${host}:${port} (${cause.message}): free it, or set another listen.mqtt`, { cause })
}
