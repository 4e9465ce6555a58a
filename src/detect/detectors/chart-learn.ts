/** Kernel: how the alarm chart's row learns; levels behind their gates, the fit of spread and correlation, calibration, and the tail. */
import { giveIn, isClosed, moveGate } from '../gate.ts'
import * as at from './chart-row.ts'
import { packedRow } from './packed.ts'
import { grownWeight, rescaledWeight, tailLearn } from './tail.ts'

/** Messages a level is made of. */
const LEVEL_OF = 150
/** A level stands still while its metric lies farther off than so many times its usual reach: drift is followed, a step is not. */
const STEP = 2.5
/** Memory of mean, spread and correlation; they learn while the distance is less than its 0.99 quantile in calibration. */
const MEMORY = 5000
/** Messages a metric between two factorisations. */
const REFACTOR_EVERY = 4
/** A float32 counts exactly up to 2^24; nothing here needs as many. */
const COUNT_MAX = 1_000_000
/** Distinct values of a metric that has something to say: constants and switches have none. */
const LIVELY = 3

/** Deviations from the levels, and from their means. [slot] */
const r = new Float64Array(at.SLOTS)
const w = new Float64Array(at.SLOTS)

/** A message before the fit: levels follow freely, moments of what the averages lie from them add up, and at the end the chart is fitted. */
export function learnWarming(s: Float32Array, o: number, warmup: number): void {
  const rows = s[o + at.ROWS]!
  const k = rows - at.settlingOf(warmup) + 1
  const end = s[o + at.END]!
  for (let j = 0; j < end; j++) {
    r[j] = s[o + at.AVERAGE + j]! - s[o + at.BASE + j]!
    if (s[o + at.STATE + j] === at.LONE) learnLone(s, o, j, warmup)
    if (s[o + at.STATE + j] !== at.JOINT) continue
    if (k > 0) learnMoments(s, o, j, k)
    moveLevel(s, o, j, 1)
  }
  if (k > 0) learnProducts(s, o, end, k)
  s[o + at.ROWS] = rows + 1
  if (rows + 1 >= at.fitOf(warmup)) fit(s, o)
}

/** Mean and mean square of the deviation, of which this is the `k`-th; `w[j]` is what it lies from the mean before it. */
function learnMoments(s: Float32Array, o: number, j: number, k: number): void {
  s[o + at.REACH + j] = s[o + at.REACH + j]! + (r[j]! * r[j]! - s[o + at.REACH + j]!) / k
  w[j] = r[j]! - s[o + at.MEAN + j]!
  s[o + at.MEAN + j] = s[o + at.MEAN + j]! + w[j]! / k
}

/** Mean products of the deviations of metrics that warm up together. */
function learnProducts(s: Float32Array, o: number, end: number, k: number): void {
  for (let j = 0; j < end; j++) {
    if (s[o + at.STATE + j] !== at.JOINT) continue
    const row = o + at.COVARIANCE + packedRow(j)
    for (let l = 0; l <= j; l++) {
      if (s[o + at.STATE + l] !== at.JOINT) continue
      s[row + l] = s[row + l]! + (w[j]! * (r[l]! - s[o + at.MEAN + l]!) - s[row + l]!) / k
    }
  }
}

function moveLevel(s: Float32Array, o: number, j: number, g: number): void {
  const taught = s[o + at.TAUGHT + j]!
  s[o + at.BASE + j] = s[o + at.BASE + j]! + (g * r[j]!) / Math.min(taught + 1, LEVEL_OF)
  s[o + at.TAUGHT + j] = Math.min(taught + 1, COUNT_MAX)
}

/** Everything that warmed up together and has something to say goes into the chart; where nothing has, all begins anew. */
function fit(s: Float32Array, o: number): void {
  const end = s[o + at.END]!
  for (let j = 0; j < end; j++) {
    if (s[o + at.STATE + j] !== at.JOINT) continue
    s[o + at.SPREAD + j] = s[o + at.COVARIANCE + packedRow(j) + j]!
    if (isLively(s, o, j)) enter(s, o, j)
    else begin(s, o, j, at.LONE)
  }
  for (let j = 0; j < end; j++) {
    for (let l = 0; l <= j; l++) {
      const place = o + at.COVARIANCE + packedRow(j) + l
      if (s[o + at.STATE + j] !== at.IN || s[o + at.STATE + l] !== at.IN || j === l) s[place] = j === l ? 1 : 0
      else s[place] = s[place]! / (s[o + at.SPREAD + j]! * s[o + at.SPREAD + l]!)
    }
  }
  if (s[o + at.INSIDE] === 0) return beginAll(s, o)
  s[o + at.FITTED] = 1
  at.refactor(s, o)
  s[o + at.SINCE] = -1
}

/** Its variance is in the place of its spread. */
function isLively(s: Float32Array, o: number, j: number): boolean {
  return s[o + at.KINDS + j]! >= LIVELY && s[o + at.SPREAD + j]! > 0
}

function enter(s: Float32Array, o: number, j: number): void {
  s[o + at.SPREAD + j] = Math.sqrt(s[o + at.SPREAD + j]!)
  s[o + at.REACH + j] = Math.sqrt(s[o + at.REACH + j]!)
  s[o + at.STATE + j] = at.IN
  s[o + at.INSIDE] = s[o + at.INSIDE]! + 1
}

/** The slot's warm-up begins, from its newest average. */
function begin(s: Float32Array, o: number, j: number, state: typeof at.JOINT | typeof at.LONE): void {
  s[o + at.STATE + j] = state
  for (const field of [at.MEAN, at.SPREAD, at.REACH, at.TAUGHT]) s[o + field + j] = 0
}

function beginAll(s: Float32Array, o: number): void {
  for (let j = 0; j < s[o + at.END]!; j++) if (s[o + at.STATE + j] !== at.FREE) begin(s, o, j, at.JOINT)
  s[o + at.ROWS] = 0
}

/** A metric that warms up by itself; in the chart it begins as one that moves with no other. */
function learnLone(s: Float32Array, o: number, j: number, warmup: number): void {
  const k = s[o + at.TAUGHT + j]! - at.settlingOf(warmup) + 1
  if (k > 0) {
    learnMoments(s, o, j, k)
    s[o + at.SPREAD + j] = s[o + at.SPREAD + j]! + (w[j]! * (r[j]! - s[o + at.MEAN + j]!) - s[o + at.SPREAD + j]!) / k
  }
  moveLevel(s, o, j, 1)
  if (s[o + at.TAUGHT + j]! < at.fitOf(warmup)) return
  if (s[o + at.FITTED] === 0) return
  if (!isLively(s, o, j)) return begin(s, o, j, at.LONE)
  enter(s, o, j)
  at.refactor(s, o)
}

/** A metric whose warm-up ended, and began anew, because it had nothing to say. */
export function hasNothingToSay(s: Float32Array, o: number, j: number): boolean {
  return s[o + at.STATE + j] === at.LONE && s[o + at.TAUGHT + j] === 0
}

/** A message after the fit: each level behind its own gate; mean, spread and correlation while all is well. `phi` in scratch, [slot]. */
export function learnFitted(s: Float32Array, o: number, warmup: number, g: number, scratch: Float64Array, phi: number, distance: number): void {
  const end = s[o + at.END]!
  s[o + at.SINCE] = Math.min(s[o + at.SINCE]! + 1, COUNT_MAX)
  for (let j = 0; j < end; j++) {
    r[j] = s[o + at.AVERAGE + j]! - s[o + at.BASE + j]!
    if (s[o + at.STATE + j] === at.LONE) learnLone(s, o, j, warmup)
    else if (s[o + at.STATE + j] === at.IN) moveLevel(s, o, j, Math.abs(r[j]!) <= STEP * s[o + at.REACH + j]! ? g : 0)
  }
  if (!(distance < s[o + at.QUANTILE]!)) return
  for (let j = 0; j < end; j++) if (s[o + at.STATE + j] === at.IN) learnShape(s, o, j, g / MEMORY, scratch, phi)
  if (s[o + at.SINCE]! >= REFACTOR_EVERY * s[o + at.INSIDE]!) at.refactor(s, o)
}

function learnShape(s: Float32Array, o: number, j: number, al: number, scratch: Float64Array, phi: number): void {
  const d = r[j]! - s[o + at.MEAN + j]!
  s[o + at.MEAN + j] = s[o + at.MEAN + j]! + al * d
  s[o + at.SPREAD + j] = Math.sqrt((1 - al) * (s[o + at.SPREAD + j]! ** 2 + al * d * d))
  const row = o + at.COVARIANCE + packedRow(j)
  for (let l = 0; l <= j; l++) {
    if (s[o + at.STATE + l] === at.IN) s[row + l] = s[row + l]! + al * (scratch[phi + j]! * scratch[phi + l]! - s[row + l]!)
  }
}

/**
 * Calibration's distances teach the tail at once; later ones when 40 more have come, and only where none of these closed the chart's own gate: a step enters
 * an average little by little, and a tail that learns each message would never be surprised. True when the gate gives in.
 */
export function teachTail(s: Float32Array, o: number, warmup: number, g: number, distance: number, surprise: number): boolean {
  if (distance !== distance) return false
  if (s[o + at.QUANTILE] === 0) {
    if (g > 0) calibrate(s, o, at.calibrationOf(warmup), g, distance)
    return false
  }
  const givesIn = g > 0 && moveGate(s, o + at.GATE, surprise, 0)
  const suspect = g === 0 || givesIn || isClosed(s, o + at.GATE)
  const place = o + at.RING + s[o + at.HEAD]!
  const oldest = s[place]!
  s[place] = suspect ? -1 : distance
  s[o + at.HEAD] = (s[o + at.HEAD]! + 1) % at.HELD
  if (!suspect && oldest > 0) learnTail(s, o, oldest, g)
  return givesIn
}

/** The 0.99 quantile lies between the two largest: no other need be kept. */
function calibrate(s: Float32Array, o: number, of: number, g: number, distance: number): void {
  if (distance > s[o + at.LARGEST]!) {
    s[o + at.SECOND_LARGEST] = s[o + at.LARGEST]!
    s[o + at.LARGEST] = distance
  } else if (distance > s[o + at.SECOND_LARGEST]!) s[o + at.SECOND_LARGEST] = distance
  learnTail(s, o, distance, g)
  const n = s[o + at.CALIBRATED]! + 1
  s[o + at.CALIBRATED] = n
  if (n < of) return
  const into = Math.max(0, 0.99 * (n - 1) - (n - 2))
  s[o + at.QUANTILE] = s[o + at.SECOND_LARGEST]! + into * (s[o + at.LARGEST]! - s[o + at.SECOND_LARGEST]!)
}

function learnTail(s: Float32Array, o: number, distance: number, g: number): void {
  const n = s[o + at.LEARNT]!
  const weight = n > 0 ? s[o + at.WEIGHT]! : 1
  tailLearn(s, o + at.TAIL, distance, n, weight, g)
  s[o + at.LEARNT] = n + g
  s[o + at.WEIGHT] = rescaledWeight(s, o + at.TAIL, grownWeight(weight, g))
}

/** Every level jumps to where its metric is now. */
export function acceptLevels(s: Float32Array, o: number): void {
  for (let j = 0; j < s[o + at.END]!; j++) s[o + at.BASE + j] = s[o + at.AVERAGE + j]!
  giveIn(s, o + at.GATE)
}

/** Share of the warm-up behind it; 1 also where no metric has anything to say so far. */
export function warmthOf(s: Float32Array, o: number, warmup: number): number {
  let lively = false
  for (let j = 0; j < s[o + at.END]!; j++) lively ||= s[o + at.STATE + j] !== at.FREE && s[o + at.KINDS + j]! >= LIVELY
  if (!lively || s[o + at.QUANTILE]! > 0) return 1
  return (s[o + at.ROWS]! + s[o + at.CALIBRATED]!) / warmup
}
