/**
 * Detector: shape; a device that sends a message of field names and kinds it never sent.
 *
 * The last 8 shapes are kept with how often they came. Of the first 200 messages every shape is learnt; then a new one is as rare as messages came
 * without it: log10(N + 1), and ten times less where all its fields are known and only their company is new. A shape is known with its third message,
 * unless those follow so closely that the gate finds it confirmed: then it stays odd as long as it comes, until the gate gives in.
 *
 * A device with more than 8 shapes varies: no opinion, until it is reset. Firmware is updated, so nothing is critical here; the first two messages of a
 * shape are a warning whatever they are. Messages that fields were left out of (`cardinality`) are not looked at.
 */
import { type Detector, NEW_METRIC, type Round, type Rows } from '../detector.ts'
import { ownGate } from '../gate.ts'

const KEPT = 8
/** New fields that are remembered, so that the sentence of a later message can name them. */
const NEWS = 3

// float64
const LAST = 0
const SHAPES = 1
// float32
/** 1 + series row of each new field; negative where its kind is what is new; 0: none. */
const NEW_FIELDS = 0
const COUNTS = NEW_FIELDS + NEWS
const TOTAL = COUNTS + KEPT
const VARIES = TOTAL + 1

const LEARNS = 200
/** log10(201) is just above it. */
const BAR = 2.3
const KNOWN = 3
/** Powers of ten a new company of known fields is less rare. */
const COMPANY = 1
/** Counters stop here: float32 counts no further. */
const MANY = 0xffffff
const MAJOR = 2

export const shape: Detector = {
  name: 'shape',
  version: 1,
  scope: 'device',
  cause: 'shape',
  scratch: 0,
  fields: {
    present: [
      { name: 'last', type: 'float64', width: 1 },
      { name: 'new-fields', type: 'float32', width: NEWS },
    ],
    baseline: [
      { name: 'shapes', type: 'float64', width: KEPT },
      { name: 'counts', type: 'float32', width: KEPT },
      { name: 'total', type: 'float32', width: 1 },
      { name: 'varies', type: 'float32', width: 1 },
    ],
  },

  score(round, rows, _scratch, out) {
    for (let m = 0; m < round.messages; m++) out[m] = scoreMessage(round, rows, m)
  },

  learn(round, rows, _scratch, weight) {
    for (let m = 0; m < round.messages; m++) {
      const hash = round.shape[m]!
      if (hash === 0) continue
      const row = round.device[m]!
      if (rows.float32[row * rows.stride32 + rows.at32 + TOTAL]! >= LEARNS && countOf(round, rows, m) < KNOWN) noteNews(round, rows, m)
      rows.float64[row * rows.stride64 + rows.at64 + LAST] = hash
      if (weight[m]! > 0) learnShape(rows, row, hash, weight[m]!)
    }
  },

  /** The newest shape is known, in the place of the rarest if need be. */
  accept(rows, row) {
    const o = row * rows.stride32 + rows.at32
    const hash = rows.float64[row * rows.stride64 + rows.at64 + LAST]!
    if (hash === 0) return
    const found = placeOf(rows, row, hash)
    const place = found >= 0 ? found : rarest(rows.float32, o)
    rows.float64[row * rows.stride64 + rows.at64 + SHAPES + place] = hash
    rows.float32[o + COUNTS + place] = Math.max(found >= 0 ? rows.float32[o + COUNTS + place]! : 0, KNOWN)
    rows.float32.fill(0, o + NEW_FIELDS, o + NEW_FIELDS + NEWS)
  },

  /** How many messages of this shape there were, with this one; none were expected. */
  explain(round, rows, at) {
    return { observed: countOf(round, rows, at) + 1, low: 0, high: 0 }
  },

  warmth(rows, row) {
    const o = row * rows.stride32 + rows.at32
    return rows.float32[o + VARIES]! > 0 ? 1 : Math.min(1, rows.float32[o + TOTAL]! / LEARNS)
  },

  judging: {
    bar: BAR,
    missing: false,
    gate: ownGate('shape'),
    severity(round, rows, at, excess) {
      return countOf(round, rows, at) < KNOWN - 1 ? 0 : Math.min(MAJOR, Math.floor(excess))
    },
  },
}

function scoreMessage(round: Round, rows: Rows, m: number): number {
  const s = rows.float32
  const o = round.device[m]! * rows.stride32 + rows.at32
  if (round.shape[m] === 0 || s[o + VARIES]! > 0 || s[o + TOTAL]! < LEARNS) return NaN
  if (countOf(round, rows, m) >= KNOWN) return 0
  return Math.log10(s[o + TOTAL]! + 1) - (hasNews(round, rows, m) ? 0 : COMPANY)
}

/** Messages of the shape of message `m` that were learnt; 0 for a new one. */
function countOf(round: Round, rows: Rows, m: number): number {
  const row = round.device[m]!
  const place = placeOf(rows, row, round.shape[m]!)
  return place < 0 ? 0 : rows.float32[row * rows.stride32 + rows.at32 + COUNTS + place]!
}

function placeOf(rows: Rows, row: number, hash: number): number {
  const o64 = row * rows.stride64 + rows.at64 + SHAPES
  for (let k = 0; k < KEPT; k++) if (rows.float64[o64 + k] === hash) return k
  return -1
}

/** The place of the shape that came least often; a free one if there is. */
function rarest(s: Float32Array, o: number): number {
  let place = 0
  for (let k = 1; k < KEPT; k++) if (s[o + COUNTS + k]! < s[o + COUNTS + place]!) place = k
  return place
}

function learnShape(rows: Rows, row: number, hash: number, g: number): void {
  const s = rows.float32
  const o = row * rows.stride32 + rows.at32
  const total = s[o + TOTAL]!
  s[o + TOTAL] = Math.min(total + g, MANY)
  // What comes while everything is new needs no third time.
  const least = total < LEARNS ? KNOWN : g
  const place = placeOf(rows, row, hash)
  if (place >= 0) {
    const count = s[o + COUNTS + place]!
    s[o + COUNTS + place] = Math.min(Math.max(count + g, least), MANY)
    // What was new is new no more.
    if (count < KNOWN && s[o + COUNTS + place]! >= KNOWN) s.fill(0, o + NEW_FIELDS, o + NEW_FIELDS + NEWS)
    return
  }
  const free = rarest(s, o)
  if (s[o + COUNTS + free]! >= KNOWN) {
    s[o + VARIES] = 1
    return
  }
  rows.float64[row * rows.stride64 + rows.at64 + SHAPES + free] = hash
  s[o + COUNTS + free] = least
}

/** Whether the message brings a field that is new, or was new in a shape not known yet. */
function hasNews(round: Round, rows: Rows, m: number): boolean {
  const end = round.start[m]! + round.count[m]!
  for (let i = round.start[m]!; i < end; i++) if (newsOf(round, rows, m, i) !== 0) return true
  return false
}

/** 1: reading `i` of message `m` is of a new field; −1: its kind is new; 0: neither. */
function newsOf(round: Round, rows: Rows, m: number, i: number): number {
  if (round.fresh[i] !== 0) return round.fresh[i] === NEW_METRIC ? 1 : -1
  const o = round.device[m]! * rows.stride32 + rows.at32 + NEW_FIELDS
  for (let k = 0; k < NEWS; k++) if (Math.abs(rows.float32[o + k]!) === round.series[i]! + 1) return Math.sign(rows.float32[o + k]!)
  return 0
}

/** Remembers what is new in a message, over what was new before it. */
function noteNews(round: Round, rows: Rows, m: number): void {
  const o = round.device[m]! * rows.stride32 + rows.at32 + NEW_FIELDS
  let noted = 0
  const end = round.start[m]! + round.count[m]!
  for (let i = round.start[m]!; i < end && noted < NEWS; i++) {
    if (round.fresh[i] === 0) continue
    rows.float32[o + noted++] = round.fresh[i] === NEW_METRIC ? round.series[i]! + 1 : -(round.series[i]! + 1)
  }
  if (noted > 0) rows.float32.fill(0, o + noted, o + NEWS)
}

/** Series rows of the fields of message `m` that are new, and of those whose kind is; for the sentence. */
export function newFields(round: Round, rows: Rows, m: number): { readonly added: number[]; readonly changed: number[] } {
  const added: number[] = []
  const changed: number[] = []
  const end = round.start[m]! + round.count[m]!
  for (let i = round.start[m]!; i < end; i++) {
    const news = newsOf(round, rows, m, i)
    if (news !== 0) (news > 0 ? added : changed).push(round.series[i]!)
  }
  return { added, changed }
}
