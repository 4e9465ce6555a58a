/** Takes the messages of a frame into rounds: which device, which series, which time; leaves out repeats, late readings, and what there is no room for. */
import { FLAG_RETAIN, FLAG_TRIMMED, KIND_CATEGORY, KIND_MISSING } from '../core/message.ts'
import type { ClassSettings } from '../core/settings.ts'
import type { Frame } from '../log/frame.ts'
import { NEW_KIND, NEW_METRIC, type Rows } from './detector.ts'
import { heartbeatOf } from './detectors/silence.ts'
import * as presence from './presence.ts'
import { devicePresence, seriesPresence } from './presence.ts'
import type { RoundColumns } from './rounds.ts'
import type { State } from './state.ts'

/** What was left out since the caller last looked; reasons as in `picket_messages_dropped_total`. */
export interface LeftOut {
  duplicate: number
  retained: number
  late: number
  lateReadings: number
  capacity: number
  capacityReadings: number
  cardinality: number
  clockSkew: number
}

/** What the task knows at the record the frame stands in. */
export interface Moment {
  readonly offset: number
  /** Partition time, ms since epoch. */
  readonly time: number
  /** The frame's source: its place among the task's sources, and its covered ms. */
  readonly source: number
  readonly covered: number
  /** The source came back a short while ago: devices may be sending what they could not send. */
  readonly catchingUp: boolean
}

const MINUTE_MS = 60_000
/** UTF-16 units of a category's text that are kept. */
const CATEGORY_TEXT = 64

export class Admission {
  readonly leftOut: LeftOut = { duplicate: 0, retained: 0, late: 0, lateReadings: 0, capacity: 0, capacityReadings: 0, cardinality: 0, clockSkew: 0 }
  readonly #state: State
  readonly #round: RoundColumns
  readonly #run: () => void
  readonly #refused: (offset: number, index: number, when: number) => void
  #taken = 0
  readonly #device: Rows
  readonly #series: Rows
  /** A series of the message in hand found no row. */
  #full = false

  /** `run` works through the round and clears it; `refused` is told of each message there was no row for, or none for a series of it. */
  constructor(state: State, round: RoundColumns, run: () => void, refused: (offset: number, index: number, when: number) => void) {
    this.#state = state
    this.#round = round
    this.#run = run
    this.#refused = refused
    this.#device = state.tables.device.view(devicePresence.name)!
    this.#series = state.tables.series.view(seriesPresence.name)!
  }

  /** Messages that entered a round since the last call. */
  takeTaken(): number {
    const taken = this.#taken
    this.#taken = 0
    return taken
  }

  /** Takes every message of the frame, running rounds as they fill; the last one is left for the caller to run. */
  frame(frame: Frame, moment: Moment): void {
    for (let i = 0; i < frame.device.length; i++) this.#message(frame, i, moment)
  }

  #message(frame: Frame, i: number, moment: Moment): void {
    const { name, labels } = frame.devices[frame.device[i]!]!
    const known = this.#state.tables.device.row(name)
    const claimed = frame.time[i]!
    const identity = presence.identityOf(claimed, frame.payload[i]!)
    // First of all, so that a repeat leaves no trace: its labels may be those of another day.
    if (known !== undefined && presence.isRepeat(this.#device, known, identity, claimed, frame.flags[i]!)) {
      this.leftOut.duplicate++
      return
    }
    // The broker had kept it for whoever subscribes next: it was heard when it was sent, or before anybody listened, and that may be years ago.
    if ((frame.flags[i]! & FLAG_RETAIN) !== 0) {
      this.leftOut.retained++
      return
    }
    const row = this.#row(known, name, labels)
    if (row < 0) {
      this.leftOut.capacity++
      return this.#noRoom(frame, i, moment)
    }
    if (!this.#round.takes(row, frame.count[i]!)) this.#run()
    this.#state.tables.device.touch(row)
    presence.remember(this.#device, row, identity)
    const settings = this.#state.settingsOf(row)
    const when = this.#when(row, claimed, frame.arrival[i]!, settings)
    if (frame.count[i]! > 0 && this.#isLate(frame, i, row, when)) {
      this.leftOut.late++
      return
    }
    this.#seat(frame, i, row, when, settings, moment)
    if (this.#full) this.#noRoom(frame, i, moment)
  }

  /** A device's labels are read where its round can't see them change. */
  #row(known: number | undefined, name: string, labels: Readonly<Record<string, string>>): number {
    if (known !== undefined && this.#state.hasLabels(known, labels)) return known
    this.#run()
    return this.#state.device(name, labels)
  }

  /** What came before has its incidents first. */
  #noRoom(frame: Frame, i: number, moment: Moment): void {
    this.#full = false
    this.#run()
    this.#refused(moment.offset, i, frame.arrival[i]!)
  }

  /** The event time in use: the claimed one when it can be believed, else arrival, which never goes back. Nothing was measured after it arrived. */
  #when(row: number, claimed: number, arrival: number, settings: ClassSettings): number {
    const last = this.#device.float64[row * this.#device.stride64 + this.#device.at64 + presence.LAST_EVENT]!
    if (claimed === claimed) {
      if (settings.backfill) return claimed
      if (Math.abs(claimed - arrival) > this.#state.settings.toleranceMs) this.leftOut.clockSkew++
      else if (claimed <= arrival) return claimed
    }
    return Math.max(arrival, last)
  }

  /** All its readings are older than what their series have seen, and this is no clock that was set back. */
  #isLate(frame: Frame, i: number, row: number, when: number): boolean {
    const lates = row * this.#device.stride32 + this.#device.at32 + presence.LATES
    const end = frame.start[i]! + frame.count[i]!
    let late = true
    for (let r = frame.start[i]!; r < end && late; r++) late = when < this.#lastTime(row, frame.metrics[frame.metric[r]!]!)
    if (!late) {
      this.#device.float32[lates] = 0
      return false
    }
    if (this.#device.float32[lates]! >= presence.LATE_IN_A_ROW) return false
    this.#device.float32[lates] = this.#device.float32[lates]! + 1
    return true
  }

  #lastTime(device: number, metric: string): number {
    const series = this.#state.series(device, metric)
    return series === undefined ? -Infinity : this.#series.float64[series * this.#series.stride64 + this.#series.at64 + presence.LAST_TIME]!
  }

  #seat(frame: Frame, i: number, row: number, heard: number, settings: ClassSettings, moment: Moment): void {
    const { float64, float32, stride64, stride32, at64, at32 } = this.#device
    const o64 = row * stride64 + at64
    const o32 = row * stride32 + at32
    const seen = float32[o32 + presence.MESSAGES]!
    const last = float64[o64 + presence.LAST_EVENT]!
    const setBack = float32[o32 + presence.LATES]! >= presence.LATE_IN_A_ROW
    const when = setBack ? Math.max(heard, last) : heard
    const quarantined = float64[o64 + presence.QUARANTINED_UNTIL]! > moment.time
    const round = this.#round
    const m = round.addMessage(row)
    this.#taken++
    round.offset[m] = moment.offset
    round.index[m] = i
    round.klass[m] = this.#state.classOf[row]!
    round.when[m] = when
    // By what it says itself: `when` may stand still for long where a clock was set back.
    round.clock[m] = this.#state.zones.bin(settings.timezone, heard)
    round.arrival[m] = frame.arrival[i]!
    round.elapsed[m] = seen > 0 ? Math.max(0, when - last) : 0
    const heardThere = seen > 0 && float32[o32 + presence.SOURCE] === moment.source
    round.gap[m] = heardThere ? presence.unheardMs(this.#device, row, moment.covered) : -1
    round.heartbeat[m] = quarantined ? -1 : heartbeatOf(settings)
    round.warmup[m] = settings.warmup
    round.teaches[m] = quarantined ? 0 : 1
    round.crowded[m] = (frame.flags[i]! & FLAG_TRIMMED) === 0 ? 0 : 1
    for (let r = frame.start[i]!; r < frame.start[i]! + frame.count[i]!; r++) this.#reading(frame, r, m, row, when, moment)
    this.#manner(frame, i, m, heard, settings)
    round.catchingUp[m] = moment.catchingUp && !settings.backfill ? 1 : 0
    float64[o64 + presence.LAST_EVENT] = Math.max(last, when)
    float64[o64 + presence.LAST_APPEND] = moment.time
    float64[o64 + presence.LAST_COVERED] = moment.covered
    float32[o32 + presence.SOURCE] = moment.source
    // Exact up to 2^24; more than enough to tell none from some.
    float32[o32 + presence.MESSAGES] = Math.min(seen + 1, 0xffffff)
  }

  /** How the message came, whatever it says. */
  #manner(frame: Frame, i: number, m: number, heard: number, settings: ClassSettings): void {
    const round = this.#round
    const claimed = frame.time[i]!
    const arrival = frame.arrival[i]!
    round.told[m] = heard === claimed ? claimed : arrival
    round.heard[m] = settings.backfill ? Infinity : Math.max(0, round.gap[m]!)
    round.skew[m] = settings.backfill ? NaN : claimed - arrival
    round.shape[m] = round.crowded[m] ? 0 : frame.shape[i]!
    round.periodic[m] = settings.reports === 'periodic' && round.teaches[m] ? 1 : 0
  }

  #reading(frame: Frame, r: number, m: number, device: number, when: number, moment: Moment): void {
    const metric = frame.metrics[frame.metric[r]!]!
    const known = this.#state.series(device, metric)
    const series = known ?? this.#newSeries(device, metric, m, moment)
    if (series < 0) return
    const { float64, float32, stride64, stride32, at64, at32 } = this.#series
    const o = series * stride64 + at64
    const last = float64[o + presence.LAST_TIME]!
    if (when < last) {
      this.leftOut.lateReadings++
      return
    }
    // A row never written is of time 0.
    const since = last > 0 ? when - last : 0
    this.#state.tables.series.touch(series)
    if (frame.kind[r] === KIND_CATEGORY && float64[o + presence.LAST_VALUE] !== frame.value[r]) this.#keepText(frame, r, series)
    const fresh = known === undefined ? NEW_METRIC : isOtherKind(float32[series * stride32 + at32 + presence.LAST_KIND]!, frame.kind[r]!) ? NEW_KIND : 0
    float64[o + presence.LAST_VALUE] = frame.value[r]!
    float64[o + presence.LAST_TIME] = when
    float32[series * stride32 + at32 + presence.LAST_KIND] = frame.kind[r]!
    const i = this.#round.addReading(m, series, frame.kind[r]!, frame.value[r]!, this.#state.below[series]!, this.#state.above[series]!)
    this.#round.since[i] = since
    this.#round.fresh[i] = fresh
  }

  /** Of a category the row holds the hash; people want the text. */
  #keepText(frame: Frame, r: number, series: number): void {
    this.#state.tables.series.setAbout(series, (frame.categories[frame.value[r]!] ?? '').slice(0, CATEGORY_TEXT))
  }

  /** A row for a metric never seen, within what a device may have: in all, and new in a minute (its first message may bring all it has). */
  #newSeries(device: number, metric: string, m: number, moment: Moment): number {
    const { metricsPerDevice, newSeriesPerMinute } = this.#state.settings.limits
    const { float64, float32, stride64, stride32, at64, at32 } = this.#device
    const minuteAt = device * stride64 + at64 + presence.MINUTE
    const newAt = device * stride32 + at32 + presence.NEW_IN_MINUTE
    const minute = Math.floor(moment.time / MINUTE_MS)
    if (float64[minuteAt] !== minute) {
      float64[minuteAt] = minute
      float32[newAt] = 0
    }
    const first = float32[device * stride32 + at32 + presence.MESSAGES] === 0
    if (this.#state.metrics(device).size >= metricsPerDevice || (!first && float32[newAt]! >= newSeriesPerMinute)) {
      this.#round.crowded[m] = 1
      this.leftOut.cardinality++
      return -1
    }
    if (!first) float32[newAt] = float32[newAt]! + 1
    const series = this.#state.addSeries(device, metric)
    if (series < 0) {
      this.#full = true
      this.leftOut.capacityReadings++
    }
    return series
  }
}

/** A value may be missing from any metric now and then. */
function isOtherKind(last: number, kind: number): boolean {
  return last !== kind && last !== KIND_MISSING && kind !== KIND_MISSING
}
