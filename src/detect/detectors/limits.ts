/**
 * Detector: static limits; a reading above or below what the config allows.
 *
 * No statistics and no state: a limit is a certainty, so a breach has the largest surprise and opens an incident of its own cause and configured severity.
 */
import { KIND_NUMBER } from '../../core/message.ts'
import type { Detector } from '../detector.ts'

/** Surprise of what is certain. */
export const CERTAIN = 9

export const limits: Detector = {
  name: 'limits',
  version: 1,
  scope: 'series',
  cause: 'limit',
  scratch: 0,
  fields: { present: [], baseline: [] },

  score(round, _rows, _scratch, out) {
    const { readings, value, kind, above, below } = round
    for (let i = 0; i < readings; i++) {
      const limited = kind[i] === KIND_NUMBER && (above[i]! < Infinity || below[i]! > -Infinity)
      out[i] = limited ? (value[i]! > above[i]! || value[i]! < below[i]! ? CERTAIN : 0) : NaN
    }
  },

  learn() {},

  explain(round, _rows, at) {
    const { above, below } = round
    return {
      observed: round.value[at]!,
      low: below[at]! > -Infinity ? below[at]! : null,
      high: above[at]! < Infinity ? above[at]! : null,
    }
  },
}
