/** Where a message stands in its partition: the order everything downstream is stamped and compared by. */

/** Two numbers, never multiplied: the record's offset and the message's index in its frame (0 in a control record). */
export interface Position {
  readonly offset: number
  readonly index: number
}

/** Negative when `a` comes before `b`, 0 when they are the same place, positive when after. */
export function comparePositions(a: Position, b: Position): number {
  return a.offset - b.offset || a.index - b.index
}

/** What every incident revision carries, so that a reader can tell what it has already seen (DESIGN.md section 2). */
export interface Stamp {
  readonly incarnation: string
  readonly epoch: number
  readonly position: Position
  /** Order among the revisions made at one position, from 0. */
  readonly n: number
}

/** Orders stamps of one incarnation by (position, n). The epoch is no part of the order: a remade revision bears the same place. */
export function compareStamps(a: Stamp, b: Stamp): number {
  return comparePositions(a.position, b.position) || a.n - b.n
}
