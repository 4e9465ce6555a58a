/** What `/readyz` answers: whether the process can do its work, and if not, why. */

export interface Readiness {
  readonly ready: boolean
  /** Why not, each naming its part; empty when ready. */
  readonly reasons: readonly string[]
}

/** Ready when nothing speaks against it. */
export function readinessOf(reasons: readonly string[]): Readiness {
  return { ready: reasons.length === 0, reasons }
}
