/** Kernel: symmetric matrices as packed lower triangles in a row: row after row, element (i, j), j ≤ i, at `i (i + 1) / 2 + j`. */

/** Floor of a pivot, so that a matrix that is not quite positive has a factor all the same. */
const PIVOT_MIN = 1e-9
const DIAGONAL_MIN = 1e-12

/** Numbers of a triangle of `size` rows. */
export function packedWidth(size: number): number {
  return (size * (size + 1)) / 2
}

/** Where row `i` begins. */
export function packedRow(i: number): number {
  return (i * (i + 1)) / 2
}

/** Lower Cholesky factor, at `l`, of the correlation matrix of the covariance at `c`, shrunk towards no correlation by `ridge`. `size` rows; O(size³). */
export function factor(s: Float32Array, c: number, l: number, size: number, ridge: number): void {
  for (let i = 0; i < size; i++) {
    const ri = packedRow(i)
    const ci = Math.max(s[c + ri + i]!, DIAGONAL_MIN)
    for (let j = 0; j <= i; j++) {
      const rj = packedRow(j)
      const cj = Math.max(s[c + rj + j]!, DIAGONAL_MIN)
      let sum = ((1 - ridge) * s[c + ri + j]!) / Math.sqrt(ci * cj) + (i === j ? ridge : 0)
      for (let k = 0; k < j; k++) sum -= s[l + ri + k]! * s[l + rj + k]!
      s[l + ri + j] = i === j ? Math.sqrt(Math.max(sum, PIVOT_MIN)) : sum / s[l + rj + j]!
    }
  }
}

/** Solves L w = b for w: `b` at `from` of `work`, w into `into` of it. Returns |w|². */
export function solveLower(s: Float32Array, l: number, size: number, work: Float64Array, from: number, into: number): number {
  let squares = 0
  for (let j = 0; j < size; j++) {
    const rj = l + packedRow(j)
    let v = work[from + j]!
    for (let k = 0; k < j; k++) v -= s[rj + k]! * work[into + k]!
    v /= s[rj + j]!
    work[into + j] = v
    squares += v * v
  }
  return squares
}

/** Solves Lᵀ v = w in place, at `at` of `work`. */
export function solveUpper(s: Float32Array, l: number, size: number, work: Float64Array, at: number): void {
  for (let j = size - 1; j >= 0; j--) {
    let v = work[at + j]!
    for (let k = j + 1; k < size; k++) v -= s[l + packedRow(k) + j]! * work[at + k]!
    work[at + j] = v / s[l + packedRow(j) + j]!
  }
}
