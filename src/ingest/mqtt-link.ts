/** Keeps a connection to a broker up: opens it again after ever longer pauses, and as a leader never before it is sure that it still leads. */
import { errorText } from '../core/errors.ts'
import { delay } from '../ops/clock.ts'
import { QuietLog } from '../ops/quiet-log.ts'
import type { Accepted, Connection } from './mqtt-connection.ts'
import { MQTT_DEFAULTS } from './mqtt-options.ts'
import type { MqttPorts } from './mqtt-options.ts'
import { MqttTrouble, troubleOf } from './mqtt-trouble.ts'
import type { Asking, TroubleReason } from './mqtt-trouble.ts'
import type { Lead } from './source.ts'

export interface LinkOptions extends Pick<MqttPorts, 'clock' | 'random' | 'logger'> {
  /** In log lines: `source field`. */
  readonly what: string
  /** In log lines: where it leads. */
  readonly address: string
  readonly asking: Asking
  readonly reconnect?: { readonly firstMs: number; readonly mostMs: number }
  readonly open: () => Promise<Connection>
  /** What a connection must do before it counts as up, such as subscribing. What it rejects with ends the connection. */
  readonly prepare: (connection: Connection, accepted: Accepted) => Promise<void>
  /** The connection is up, or no longer. */
  readonly changed: (isUp: boolean) => void
  /** Told of each failure, before the pause. */
  readonly failed: (reason: TroubleReason) => void
}

/** A connection that lasted for so long ended by something new: the pauses begin small again, ms. */
const STABLE_MS = 10_000
/** The same trouble is not told again for so long, ms. */
const QUIET_MS = 60_000

export class Link {
  readonly #options: LinkOptions
  readonly #quiet: QuietLog
  #connection: Connection | null = null
  #connectedSince: number | null = null
  #trouble: MqttTrouble | null = null
  readonly #waiting = new Set<() => void>()
  #stop: () => void = () => undefined
  /** Monotonic. */
  #downSince = -Infinity

  constructor(options: LinkOptions) {
    this.#options = options
    this.#quiet = new QuietLog({ ...options, quietMs: QUIET_MS })
  }

  /** The connection while it is up. */
  get connection(): Connection | null {
    return this.#connectedSince === null ? null : this.#connection
  }

  /** ms since epoch; null while it isn't up. */
  get connectedSince(): number | null {
    return this.#connectedSince
  }

  /** Why it isn't up, with the address, one line; null while it is, and before the first attempt has failed. */
  get trouble(): string | null {
    return this.#trouble && `${this.#options.what}: not connected to ${this.#options.address}: ${this.#trouble.text}`
  }

  /** Resolves when it is up, or null once it has been down for `ms`: at once where it has been so for long, so that nobody waits in a row. */
  async up(ms: number): Promise<Connection | null> {
    const left = this.#downSince + ms - this.#options.clock.monotonic()
    if (this.connection !== null || left <= 0) return this.connection
    let wake = () => undefined as void
    const isUp = new Promise<void>((resolve) => (wake = resolve))
    this.#waiting.add(wake)
    await Promise.race([isUp, delay(this.#options.clock, left)])
    this.#waiting.delete(wake)
    return this.connection
  }

  /** Until `signal` aborts; then `leave` has the connection before it is ended. `lead`: null where nobody else may open the same. */
  async run(signal: AbortSignal, lead: Lead | null, leave: (connection: Connection) => Promise<void>): Promise<void> {
    const onAbort = () => this.#stop()
    this.#downSince = this.#options.clock.monotonic()
    signal.addEventListener('abort', onAbort)
    try {
      await this.#keepUp(signal, lead, leave)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #keepUp(signal: AbortSignal, lead: Lead | null, leave: (connection: Connection) => Promise<void>): Promise<void> {
    const { clock, random, reconnect = MQTT_DEFAULTS.reconnect } = this.#options
    let pause = reconnect.firstMs
    while (!signal.aborted) {
      const began = clock.monotonic()
      const trouble = await this.#once(signal, leave)
      if (trouble === null || signal.aborted) return
      this.#tell(trouble)
      if (clock.monotonic() - began >= STABLE_MS) pause = reconnect.firstMs
      await delay(clock, pause * (0.5 + random.fraction() / 2), signal)
      pause = Math.min(2 * pause, reconnect.mostMs)
      if (lead && !(await this.#isStillLed(lead, signal))) return
    }
  }

  /** From opening a connection to its end: why, or null after `signal` aborted. */
  async #once(signal: AbortSignal, leave: (connection: Connection) => Promise<void>): Promise<MqttTrouble | null> {
    const connection = await this.#options.open()
    const stopped = this.#stopped(signal)
    try {
      const isUp = this.#bringUp(connection)
      isUp.catch(() => undefined) // after a stop nobody waits for it any more
      await Promise.race([isUp, stopped])
      const over = signal.aborted ? null : await Promise.race([connection.over, stopped.then(() => null)])
      if (signal.aborted) await leave(connection)
      return over
    } catch (error) {
      return error instanceof MqttTrouble ? error : new MqttTrouble(troubleOf(error, this.#options.asking), { cause: error })
    } finally {
      await connection.end()
      this.#takeDown()
    }
  }

  /** A promise of its own each time: one that stays open as long as the signal would gather what waits for it. */
  #stopped(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#stop = resolve
      if (signal.aborted) resolve()
    })
  }

  async #bringUp(connection: Connection): Promise<void> {
    const accepted = await connection.accepted
    await this.#options.prepare(connection, accepted)
    this.#connection = connection
    this.#connectedSince = this.#options.clock.now()
    if (this.#trouble) this.#quiet.over(this.#trouble.reason, { address: this.#options.address }, `${this.#options.what}: connected again`)
    this.#trouble = null
    for (const wake of this.#waiting) wake()
    this.#options.changed(true)
  }

  #takeDown(): void {
    if (this.#connectedSince === null) return
    this.#connection = null
    this.#connectedSince = null
    this.#downSince = this.#options.clock.monotonic()
    this.#options.changed(false)
  }

  #tell(trouble: MqttTrouble): void {
    const { what, address } = this.#options
    this.#trouble = trouble
    this.#options.failed(trouble.reason)
    this.#quiet.warn(trouble.reason, { address, reason: trouble.reason, error: trouble.text }, `${what}: not connected, trying again`)
  }

  /** A heartbeat sent after the close was answered: else this might end the connection of whoever leads by now. */
  async #isStillLed(lead: Lead, signal: AbortSignal): Promise<boolean> {
    try {
      await Promise.race([lead.confirmed(), this.#stopped(signal)])
      return !signal.aborted
    } catch (error) {
      this.#options.logger.info({ error: errorText(error) }, `${this.#options.what}: not opened again, another process may lead it`)
      return false
    }
  }
}
