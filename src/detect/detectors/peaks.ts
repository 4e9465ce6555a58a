/**
 * Kernel: a tail over excursions; how rare it is that a deviation climbs so high, where it climbs in small steps and comes down again.
 *
 * A tail that learnt a climb step by step would find no step odd. So a deviation is scored at every message and learnt once, by its peak, at the message
 * that ends it; messages without one teach `floor`, and what lies at or below it is no surprise. An excursion that has not ended teaches nothing.
 * The peak keeps what it was while nothing may be learnt.
 */
import { grownWeight, rescaledWeight, TAIL_WIDTH, tailEdge, tailLearn, tailScore } from './tail.ts'

const LEARNT = 0
const WEIGHT = 1
const TAIL = 2
/** Numbers of the baseline: messages learnt, the newest one's weight, the tail. The peak stands elsewhere: it is present. */
export const PEAKS_WIDTH = TAIL + TAIL_WIDTH

/** Share of the tail's steepness that is left past the maximum once it is twice the floor: of few excursions the largest says less than of all readings. */
const STEEPNESS_LEAST = 0.6

/** Surprise of deviation `e` against the peaks at `o`. */
export function peaksScore(s: Float32Array, o: number, e: number, floor: number): number {
  if (e <= floor) return 0
  const n = s[o + LEARNT]!
  const w = s[o + WEIGHT]!
  const edge = tailEdge(s, o + TAIL)
  const u = tailScore(s, o + TAIL, e, n, w)
  if (e <= edge || edge <= floor) return u
  const atEdge = tailScore(s, o + TAIL, edge, n, w)
  return atEdge + (u - atEdge) * Math.max(STEEPNESS_LEAST, 1 - (1 - STEEPNESS_LEAST) * (edge / floor - 1))
}

/** Teaches deviation `e`, 0 where there is none, with share `g` in [0, 1]. `peak`: where the largest of the excursion under way stands. */
export function peaksLearn(s: Float32Array, o: number, peak: number, e: number, floor: number, g: number): void {
  if (g === 0) return
  if (e > 0) {
    s[peak] = Math.max(s[peak]!, e)
    return
  }
  const n = s[o + LEARNT]!
  const w = n > 0 ? s[o + WEIGHT]! : 1
  tailLearn(s, o + TAIL, Math.max(s[peak]!, floor), n, w, g)
  s[peak] = 0
  s[o + LEARNT] = n + g
  s[o + WEIGHT] = rescaledWeight(s, o + TAIL, grownWeight(w, g))
}

/** Messages learnt. */
export function peaksLearnt(s: Float32Array, o: number): number {
  return s[o + LEARNT]!
}

/** The largest deviation that is expected: `floor` at least. */
export function peaksEdge(s: Float32Array, o: number, floor: number): number {
  return Math.max(floor, tailEdge(s, o + TAIL))
}
