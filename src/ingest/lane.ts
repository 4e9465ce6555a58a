/** The queue in front of one partition of one topic: what waits to be written, in order, and who waits for it to be durable. */
import { encodeFrame } from '../log/frame.ts'
import type { Log, LogRecord, Topic } from '../log/log.ts'
import type { Clock } from '../ops/clock.ts'
import { errorText } from '../core/errors.ts'
import type { DecodedMessage } from './decoded.ts'
import { FrameBuilder } from './frame-builder.ts'
import type { Room } from './frame-builder.ts'
import type { IngestLimits } from './limits.ts'

/** A failure says nothing of now after this, ms: where little is written, nothing tells that it is over. */
const FAILURE_STANDS_MS = 10_000

/** Called once: null when durable, or why it isn't. */
export type Settle = (error: unknown) => void

type Waiting =
  | { readonly kind: 'message'; readonly message: DecodedMessage; readonly room: Room; readonly since: number; readonly settle: Settle }
  | { readonly kind: 'record'; readonly value: Uint8Array; readonly key: string; readonly settle: Settle }

export interface LaneOptions {
  readonly log: Log
  readonly topic: Topic
  readonly partition: number
  readonly clock: Clock
  readonly inFlight: IngestLimits['inFlight']
  /** Most messages of a frame; left out: as many as it may have. With 1 its record has the device as key. */
  readonly frameMessages?: number | undefined
  /** After each append that became durable: its frames and messages, and seconds its oldest message took since it was received (0 without one). */
  readonly onFlushed: (frames: number, messages: number, seconds: number) => void
  readonly onFailed: (error: unknown, lane: string) => void
}

/** An append in the making. */
interface Batch {
  readonly records: LogRecord[]
  readonly settles: Settle[]
  frames: number
  messages: number
  bytes: number
  /** `Clock.monotonic` of its oldest message. */
  since: number
}

/**
 * All that was added in one turn is appended together; further appends need not wait for the flush of earlier ones, until so many are
 * under way that messages gather here into fuller frames. Bounded by whoever adds: each addition is settled once.
 */
export class Lane {
  readonly name: string
  private readonly options: LaneOptions
  private waiting: Waiting[] = []
  private scheduled = false
  private records = 0
  private bytes = 0
  private failure: { readonly text: string; readonly at: number } | null = null
  private idleListeners: (() => void)[] = []

  constructor(options: LaneOptions) {
    this.options = options
    this.name = `${options.topic}/${options.partition}`
  }

  /** What the last append failed by, a while ago at most; null after one that worked. */
  get lastFailure(): string | null {
    const { failure, options } = this
    return failure !== null && options.clock.monotonic() - failure.at < FAILURE_STANDS_MS ? failure.text : null
  }

  addMessage(message: DecodedMessage, room: Room, settle: Settle): void {
    this.push({ kind: 'message', message, room, since: this.options.clock.monotonic(), settle })
  }

  /** A record that is written as it is: a control record, a dead letter. */
  addRecord(record: { readonly key: string; readonly value: Uint8Array }, settle: Settle): void {
    this.push({ kind: 'record', ...record, settle })
  }

  /** Resolves when nothing waits or is under way. */
  idle(): Promise<void> {
    if (this.isIdle()) return Promise.resolve()
    return new Promise((resolve) => this.idleListeners.push(resolve))
  }

  private isIdle(): boolean {
    return this.waiting.length === 0 && this.records === 0
  }

  private push(entry: Waiting): void {
    this.waiting.push(entry)
    if (this.scheduled) return
    this.scheduled = true
    this.options.clock.after(0, () => {
      this.scheduled = false
      this.pump()
    })
  }

  private pump(): void {
    const { inFlight } = this.options
    while (this.waiting.length > 0 && this.records < inFlight.records && this.bytes < inFlight.bytes) void this.send(this.takeBatch())
  }

  /** Takes from the front until the bound on what is under way, cutting frames where they are full or another source or record comes. */
  private takeBatch(): Batch {
    const { inFlight, frameMessages } = this.options
    const batch: Batch = { records: [], settles: [], frames: 0, messages: 0, bytes: 0, since: Number.POSITIVE_INFINITY }
    let builder: FrameBuilder | null = null
    let taken = 0
    for (const entry of this.waiting) {
      const joins = entry.kind === 'message' && builder?.fits(entry.message, entry.room) === true
      if (!joins) {
        builder = cutFrame(batch, builder, frameMessages)
        if (this.records + batch.records.length >= inFlight.records || this.bytes + batch.bytes >= inFlight.bytes) break
      }
      if (entry.kind === 'record') addRecord(batch, entry)
      else {
        builder ??= new FrameBuilder(entry.message.source, frameMessages)
        builder.add(entry.message)
        batch.messages++
        batch.since = Math.min(batch.since, entry.since)
      }
      batch.settles.push(entry.settle)
      taken++
    }
    cutFrame(batch, builder, frameMessages)
    this.waiting = this.waiting.slice(taken)
    return batch
  }

  /** Never rejects: what went wrong goes to those who wait, who give no acknowledgement; the readings come again. */
  private async send(batch: Batch): Promise<void> {
    const { log, topic, partition, clock, onFlushed, onFailed } = this.options
    this.records += batch.records.length
    this.bytes += batch.bytes
    let error: unknown = null
    try {
      const appended = await log.append(topic, partition, batch.records)
      await appended.flushed
      this.failure = null
      onFlushed(batch.frames, batch.messages, Math.max(0, clock.monotonic() - batch.since) / 1000)
    } catch (thrown) {
      error = thrown
      this.failure = { text: errorText(thrown), at: clock.monotonic() }
      onFailed(thrown, this.name)
    }
    this.records -= batch.records.length
    this.bytes -= batch.bytes
    for (const settle of batch.settles) settle(error)
    if (!this.scheduled) this.pump()
    if (this.isIdle()) for (const resolve of this.idleListeners.splice(0)) resolve()
  }
}

function cutFrame(batch: Batch, builder: FrameBuilder | null, frameMessages: number | undefined): null {
  if (builder) {
    batch.frames++
    addRecord(batch, { key: frameMessages === 1 ? builder.firstDevice : '', value: encodeFrame(builder.build()) })
  }
  return null
}

function addRecord(batch: Batch, record: { readonly key: string; readonly value: Uint8Array }): void {
  batch.records.push({ key: record.key, value: record.value })
  batch.bytes += record.value.length
}
