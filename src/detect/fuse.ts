/** Fuse: several surprises into one; first the detectors of a reading, then the readings of a message. The largest speaks (univariate.md, "Tried": nothing beats it). */
import type { Round, Rows } from './detector.ts'
import { GATE_SEEN } from './gate.ts'

/** `into[i]` becomes the larger of itself and `from[i]`; NaN is no opinion and never wins. */
export function fuseInto(count: number, from: Float32Array, into: Float32Array): void {
  for (let i = 0; i < count; i++) {
    const u = from[i]!
    if (u === u && !(into[i]! >= u)) into[i] = u
  }
}

/**
 * Fuses each message's readings: `into[m]` the largest surprise, NaN where nobody has a say.
 * A series below its warm-up (`warmup` readings seen by its gate) has no say yet. [messages]
 */
export function fuseMessages(
  round: Round,
  surprise: Float32Array,
  gate: Rows,
  warmup: Float64Array,
  into: Float32Array,
): void {
  const { messages, start, count, series } = round
  for (let m = 0; m < messages; m++) {
    let largest = NaN
    const end = start[m]! + count[m]!
    for (let i = start[m]!; i < end; i++) {
      const u = surprise[i]!
      if (u !== u || largest >= u) continue
      if (gate.float32[series[i]! * gate.stride32 + gate.at32 + GATE_SEEN]! < warmup[m]!) continue
      largest = u
    }
    into[m] = largest
  }
}
