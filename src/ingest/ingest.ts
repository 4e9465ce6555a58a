/** Ingest: from what sources deliver to frames in `readings`; a message is acknowledged only after the log has it durably. */
import { errorText, PipelineError } from '../core/errors.ts'
import { idOf, partitionOf } from '../core/hash.ts'
import type { Message } from '../core/message.ts'
import type { Settings } from '../core/settings.ts'
import type { TopicEntry } from '../core/topic-rule.ts'
import { encodeControl } from '../log/control.ts'
import type { Log, Owned, Topic } from '../log/log.ts'
import type { Clock } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import { QuietLog } from '../ops/quiet-log.ts'
import type { Random } from '../ops/random.ts'
import { Admission } from './admission.ts'
import { encodeDeadLetter } from './dead-letter.ts'
import { Decoder } from './decoder.ts'
import { Lane } from './lane.ts'
import type { Settle } from './lane.ts'
import type { IngestLimits } from './limits.ts'
import { openReadings } from './opening.ts'
import { quoted, Refusal, shortened } from './refusal.ts'
import { Routes } from './routes.ts'
import type { Source } from './source.ts'
import { compilePatterns } from './topic-pattern.ts'

export interface IngestSource {
  readonly source: Source
  /** Topics in the order they are tried. */
  readonly patterns: readonly TopicEntry[]
  /** What a device is called where its topic's rule doesn't say, of parts of the patterns; default `{device}`. */
  readonly device?: string
}

export interface IngestOptions {
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  readonly logger: Logger
  readonly sources: readonly IngestSource[]
  readonly limits: IngestLimits
  /** Config version 1 of an empty partition. */
  readonly settings: Settings
  readonly settingsHash: string
  /** Of this process, in its ticks. */
  readonly name: string
}

export interface Ingest {
  /** Opens the partitions, then starts the sources and ticks. Throws BAD_RECORD, IO, DISK_FULL, or what a source's start throws. */
  start(): Promise<void>
  /** Resolves after `stop`; rejects with what no retry can mend in leading a source. Only after `start`. */
  readonly ended: Promise<void>
  /** Takes nothing more in; resolves when all that was taken in is durable or refused. */
  stop(): Promise<void>
  /** Not ready while the last append to a partition failed, a source it runs receives nothing, or before `start` is done and after `stop` began. */
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] }
}

/** Between two ticks of a partition, ms. */
const TICK_MS = 1000

/** Throws BAD_CONFIG for bad topic patterns. */
export function createIngest(options: IngestOptions): Ingest {
  return new RunningIngest(options)
}

class RunningIngest implements Ingest {
  private readonly options: IngestOptions
  private readonly routes: ReadonlyMap<Source, Routes>
  private readonly readings: readonly Lane[]
  private readonly deadLetters: readonly Lane[]
  private readonly admission: Admission
  private readonly decoder: Decoder
  private readonly quiet: QuietLog
  private readonly counters: ReturnType<typeof declareMetrics>
  private readonly tickWaits: boolean[]
  private incarnations: readonly string[] = []
  private state: 'new' | 'running' | 'stopped' = 'new'
  ended: Promise<void> = Promise.resolve()
  private readonly stopping = new AbortController()
  /** Sources this process runs now: those of everybody, and those it leads. */
  private readonly running = new Set<Source>()
  private cancelTick: () => void = () => undefined
  private ticks = 0
  /** Since the last tick a message had to wait, or was dropped for overload. */
  private isBehind = false

  constructor(options: IngestOptions) {
    const { log, limits, logger, clock, metrics, sources } = options
    this.options = options
    this.quiet = new QuietLog({ logger, clock })
    this.counters = declareMetrics(metrics)
    this.admission = new Admission(limits.queue)
    this.decoder = new Decoder(limits, options.settings.expireMs)
    this.routes = new Map(
      sources.map(({ source, patterns, device = '{device}' }) => [
        source,
        new Routes(compilePatterns({ patterns, device, nameLength: limits.nameLength }), log.partitions),
      ]),
    )
    this.readings = this.lanes('readings')
    this.deadLetters = this.lanes('dead-letters')
    this.tickWaits = this.readings.map(() => false)
  }

  async start(): Promise<void> {
    this.incarnations = await openReadings(this.options)
    for (const [source, routes] of this.routes) if (!source.isLed) await this.run(source, routes)
    const led = [...this.routes].filter(([source]) => source.isLed).map(([source, routes]) => this.lead(source, routes))
    this.ended = Promise.all(led).then(() => undefined)
    this.ended.catch(() => undefined) // whoever runs this listens
    this.state = 'running'
    this.scheduleTick()
  }

  async stop(): Promise<void> {
    this.state = 'stopped'
    this.cancelTick()
    this.stopping.abort()
    await Promise.all([...this.running].map((source) => source.stop()))
    await Promise.all([this.ended.catch(() => undefined), ...[...this.readings, ...this.deadLetters].map((lane) => lane.idle())])
  }

  readiness(): { ready: boolean; reasons: readonly string[] } {
    const reasons: string[] = []
    if (this.state !== 'running') reasons.push(this.state === 'new' ? 'ingest has not started' : 'ingest is stopping')
    for (const lane of [...this.readings, ...this.deadLetters])
      if (lane.lastFailure !== null) reasons.push(`${lane.name} takes nothing: ${lane.lastFailure}`)
    for (const source of this.running) {
      const trouble = source.trouble?.() ?? null
      if (trouble !== null) reasons.push(trouble)
    }
    return { ready: reasons.length === 0, reasons }
  }

  private async run(source: Source, routes: Routes, lead?: Owned): Promise<void> {
    await source.start((message) => this.deliver(message, routes), lead)
    this.running.add(source)
  }

  /** In each term for itself: whoever led before is disconnected by the broker as we connect, and what it didn't acknowledge comes to us. */
  private lead(source: Source, routes: Routes): Promise<void> {
    const term = async (owned: Owned) => {
      await owned.restore(() => undefined)
      try {
        await this.run(source, routes, owned)
        await untilAborted(owned.signal)
      } finally {
        this.running.delete(source)
        await source.stop()
      }
    }
    return this.options.log.lead(`source-${source.name}`, term, this.stopping.signal)
  }

  private lanes(topic: Topic): readonly Lane[] {
    const { log, clock, limits } = this.options
    return Array.from({ length: log.partitions }, (_, partition) => {
      const onFlushed = (frames: number, messages: number, seconds: number) => {
        if (frames === 0) return
        this.counters.frames.add(frames)
        this.counters.sent.add(messages, { stage: 'ingest' })
        this.counters.flush.observe(seconds)
      }
      const onFailed = (error: unknown, lane: string) => {
        this.counters.errors.add(1)
        this.quiet.warn('append', { reason: 'append', lane, error: errorText(error) }, 'append failed, nothing of it is acknowledged')
      }
      return new Lane({ log, topic, partition, clock, inFlight: limits.inFlight, frameMessages: limits.frameMessages, onFlushed, onFailed })
    })
  }

  /** Queues before its first await, so that messages delivered in order stand in the log in order. */
  private deliver(message: Message, routes: Routes): Promise<void> {
    const bytes = message.payload.length
    this.counters.received.add(1, { source: message.source })
    if (!this.admission.hasRoom()) this.isBehind = true
    if (!this.admission.hasRoom() && message.qos === 0) {
      this.drop('overload', message, 'more messages come than the log takes, QoS 0 is dropped')
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const settle: Settle = (error) => {
        this.admission.leave(bytes)
        if (error === null) return resolve()
        if (message.qos === 0) this.drop('log', message, 'the log took it not, and QoS 0 comes but once')
        reject(error instanceof Error ? error : new PipelineError('IO', errorText(error)))
      }
      if (this.admission.hasRoom()) {
        this.admission.enter(bytes)
        this.take(message, routes, settle)
      } else this.admission.wait(bytes, () => this.take(message, routes, settle), reject)
    })
  }

  private take(message: Message, routes: Routes, settle: Settle): void {
    try {
      const route = routes.find(message.topic)
      if (route === null) throw new Refusal('topic', `topic ${quoted(message.topic)} fits none of ${routes.filters.join(', ')}`)
      const { messages, leftOut } = this.decoder.decode(message, route)
      if (leftOut > 0) this.drop('cardinality', message, 'device brings more metrics than its limit', leftOut)
      const settleAll = this.settleOf(messages.reduce((sum, { room }) => sum + room.messages, 0), settle)
      const settleEach = messages.length === 1 ? settleAll : settleAfter(messages.length, settleAll)
      for (const { partition, message: decoded, room } of messages) this.readings[partition]!.addMessage(decoded, room, settleEach)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.bury(message, error, settle)
    }
  }

  /** A payload of few bytes may be many samples: each takes a place. */
  private settleOf(samples: number, settle: Settle): Settle {
    if (samples === 1) return settle
    this.admission.grow(samples - 1)
    return (error) => {
      this.admission.shrink(samples - 1)
      settle(error)
    }
  }

  private bury(message: Message, refusal: Refusal, settle: Settle): void {
    const { source, client, topic } = message
    this.counters.deadLetters.add(1, { reason: refusal.reason })
    const fields = { reason: refusal.reason, source, client: shortened(client), topic: shortened(topic), text: refusal.message }
    this.quiet.warn(refusal.reason, fields, 'message refused, see dead-letters')
    const lane = this.deadLetters[partitionOf(source, this.options.log.partitions)]!
    lane.addRecord({ key: source, value: encodeDeadLetter(message, refusal) }, settle)
  }

  private drop(reason: 'overload' | 'cardinality' | 'log', message: Message, text: string, count = 1): void {
    this.counters.dropped.add(count, { stage: 'ingest', reason })
    this.quiet.warn(reason, { reason, source: message.source, client: shortened(message.client), topic: shortened(message.topic) }, text)
  }

  private scheduleTick(): void {
    this.cancelTick = this.options.clock.after(TICK_MS, () => {
      this.tick()
      this.scheduleTick()
    })
  }

  /** Through the same queue as the frames, so that a tick stands behind what was received before it; at most one waits a partition. */
  private tick(): void {
    const { clock, name } = this.options
    const at = clock.now()
    // What waits, or was dropped, is not yet in the log or never will be: what was not heard meanwhile says nothing.
    const behind = this.isBehind || !this.admission.hasRoom()
    this.isBehind = false
    // Of a source that another process leads that one tells: said here not to be connected, it would count as if nobody listened.
    const sources = [...this.running].map((source) => source.status()).map((status) => ({ ...status, backlog: status.backlog || behind }))
    this.ticks++
    this.readings.forEach((lane, partition) => {
      if (this.tickWaits[partition]) return this.counters.dropped.add(1, { stage: 'ingest', reason: 'tick' })
      const incarnation = this.incarnations[partition]!
      const id = idOf('tick', incarnation, name, partition, at, this.ticks)
      this.tickWaits[partition] = true
      lane.addRecord({ key: '', value: encodeControl({ id, incarnation, at, body: { kind: 'tick', writer: name, sources } }) }, () => {
        this.tickWaits[partition] = false
      })
    })
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** One answer for what goes to several places: when all are durable, or the first error of those that aren't. Called `count` times. */
function settleAfter(count: number, settle: Settle): Settle {
  let left = count
  let failure: unknown = null
  return (error) => {
    failure ??= error
    left--
    if (left === 0) settle(failure)
  }
}

function declareMetrics(metrics: Metrics) {
  return {
    received: metrics.counter('picket_messages_received_total', 'Messages that sources delivered', ['source']),
    sent: metrics.counter('picket_messages_sent_total', 'Messages (ingest) and incident revisions (detect) that a stage gave to the log', ['stage']),
    dropped: metrics.counter('picket_messages_dropped_total', 'Messages left out (cardinality: metrics), and why', ['stage', 'reason']),
    deadLetters: metrics.counter('picket_dead_letters_total', 'Messages that could not be taken as readings', ['reason']),
    flush: metrics.histogram('picket_ingest_flush_seconds', 'From receipt to durable in the log, of the oldest message of each append'),
    frames: metrics.counter('picket_frames_total', 'Frames that became durable in readings'),
    errors: metrics.counter('picket_ingest_errors_total', 'Appends that failed'),
  }
}
