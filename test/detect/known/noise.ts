/** The noise of the series that the prototypes were asked about: known/noise.py, bit for bit. */
export function* noise(seed: number): Generator<number, never> {
  let state = seed
  for (;;) {
    let total = -2
    for (let i = 0; i < 4; i++) {
      state = Number((BigInt(state) * 1664525n + 1013904223n) % 2n ** 32n)
      total += state / 2 ** 32
    }
    yield total
  }
}
