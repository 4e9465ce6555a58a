/** Numbers that look random and come again: every property of detect is tested on logs drawn from a seed that the test's name gives. */

export interface Seeded {
  /** Uniform in [0, 1). */
  fraction(): number
  /** Whole, uniform in [low, high]. */
  whole(low: number, high: number): number
  /** True once in so many. */
  onceIn(times: number): boolean
  /** Roughly normal: mean 0, deviation 1, never beyond 6. */
  normal(): number
  pick<T>(from: readonly T[]): T
}

/** mulberry32 (Tommy Ettinger, public domain). */
export function seeded(seed: number): Seeded {
  let state = seed >>> 0
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    fraction,
    whole: (low, high) => low + Math.floor(fraction() * (high - low + 1)),
    onceIn: (times) => fraction() * times < 1,
    normal: () => Array.from({ length: 12 }, fraction).reduce((sum, x) => sum + x, -6),
    pick: (from) => from[Math.floor(fraction() * from.length)]!,
  }
}
