/**
 * Kernel: a streaming tail in 14 numbers, that turns a deviation into a surprise −log10 P(E ≥ e).
 *
 * Half-octave bins under the largest deviation, forgotten with a memory of 1,500 readings; the maximum is forgotten slowly (1/40,000 a reading);
 * Pareto inside a bin and, with exponent 10, past the maximum. Assumes deviations ≥ 0 of one kind; wrong while fewer than some 300 were seen.
 * Recipe and ablations: univariate.md of the project's detection notes, "Tail".
 */

const TAIL_BINS = 12
/** Bins, base index of the lowest bin, slow maximum. */
export const TAIL_WIDTH = TAIL_BINS + 2

const BASE = TAIL_BINS
const MAX = TAIL_BINS + 1
const MEMORY = 1500
const PARETO_PAST_MAX = 10
const MAX_FORGETTING = 1 / 40_000
const TOP = TAIL_BINS - 1
/** Deviations at or below it count as none. */
const NOTHING = 1e-12
/** A histogram weight is rescaled to 1 beyond it; float32 holds 3e38. */
const WEIGHT_MAX = 1e30
/** What the newest reading weighs more than the one before. */
const WEIGHT_GROWTH = 1 / (1 - 1 / MEMORY)
/** An exponential and a logarithm less a reading: 1 ns instead of 21. */
const COUNTED = 16_384
const RAREST = Float64Array.from({ length: COUNTED }, (_, n) => Math.log10((1 - Math.exp(-n / MEMORY)) * MEMORY + 1))

/**
 * Surprise of deviation `e` against the tail at `o` of row array `s`, of which it has learnt `n` readings, the newest with weight `w`.
 * The first deviation of all is as rare as readings were seen; 0 when there is nothing to say. Leaves the row as it is.
 */
export function tailScore(s: Float32Array, o: number, e: number, n: number, w: number): number {
  const mx = s[o + MAX]!
  if (e <= NOTHING || n <= 0) return 0
  const most = rarest(n)
  if (mx === 0) return most
  const f = 2 * Math.log2(e)
  const base = s[o + BASE]!
  const p = f - base
  if (p <= 0) return 0
  const b = p < TOP ? p | 0 : TOP
  let above = 0
  for (let j = b + 1; j < TAIL_BINS; j++) above += s[o + j]!
  let into = p - b
  if (b === TOP) into = e >= mx ? 1 : into / Math.max(1, 2 * Math.log2(mx) - base - TOP)
  // Math.log is 9 ns where Math.log10 is 14 (2 cores under load, Node 20.20); nothing above is usual of what is odd.
  const high = Math.log((above + s[o + b]!) / w + 1)
  const low = above === 0 ? 0 : Math.log(above / w + 1)
  const u = most - Math.LOG10E * (high + into * (low - high))
  return e > mx ? u + PARETO_PAST_MAX * Math.log10(e / mx) : u
}

/** What the rarest of `n` readings, as far as they are remembered, may be worth: log10 of their number and one. */
function rarest(n: number): number {
  return n < COUNTED && n === (n | 0) ? RAREST[n]! : Math.log10((1 - Math.exp(-n / MEMORY)) * MEMORY + 1)
}

/** Teaches the tail deviation `e` with share `g` in (0, 1]; `n` and `w` as before it. */
export function tailLearn(s: Float32Array, o: number, e: number, n: number, w: number, g: number): void {
  let mx = s[o + MAX]!
  if (e > NOTHING) {
    const f = 2 * Math.log2(e)
    if (mx === 0) s[o + BASE] = Math.floor(f) - TAIL_BINS + 1
    let p = f - s[o + BASE]!
    for (let climbed = 0; p >= TAIL_BINS && climbed < 2; climbed++, p--) climb(s, o)
    const b = p <= 0 ? 0 : p < TOP ? p | 0 : TOP
    s[o + b] = s[o + b]! + w * g
  }
  if (s[o + TOP]! < 0.5 * w) sink(s, o)
  mx -= mx * MAX_FORGETTING * g
  if (e > mx) {
    // One outlier may at most double what counts as the largest.
    const target = mx > 0 && e > 2 * mx && n >= 50 ? 2 * mx : e
    mx += g * (target - mx)
  }
  s[o + MAX] = mx
}

/** The window moves up a bin: the two lowest merge. */
function climb(s: Float32Array, o: number): void {
  s[o] = s[o]! + s[o + 1]!
  for (let j = 1; j < TOP; j++) s[o + j] = s[o + j + 1]!
  s[o + TOP] = 0
  s[o + BASE] = s[o + BASE]! + 1
}

/** The top bin is forgotten: it folds into the next, and the window moves down a bin. */
function sink(s: Float32Array, o: number): void {
  s[o + TOP] = s[o + TOP]! + s[o + TOP - 1]!
  for (let j = TOP - 1; j > 1; j--) s[o + j] = s[o + j - 1]!
  s[o + 1] = 0
  s[o + BASE] = s[o + BASE]! - 1
}

/** The weight after a reading taught with share `g`, before rescaling. */
export function grownWeight(w: number, g: number): number {
  return g === 1 ? w * WEIGHT_GROWTH : w * WEIGHT_GROWTH ** g
}

/** Rescales the tail when the weight has grown too large; returns the weight to go on with. */
export function rescaledWeight(s: Float32Array, o: number, w: number): number {
  if (w <= WEIGHT_MAX) return w
  for (let j = 0; j < TAIL_BINS; j++) s[o + j] = s[o + j]! / w
  return 1
}

/** The slow maximum, as the edge of the band that is expected. 0 while nothing is learnt. */
export function tailEdge(s: Float32Array, o: number): number {
  return s[o + MAX]!
}

/** What was thought too large is usual now: the slow maximum is at least `e`. The window climbs to it as such deviations are learnt. */
export function tailRaise(s: Float32Array, o: number, e: number): void {
  s[o + MAX] = Math.max(s[o + MAX]!, e)
}
