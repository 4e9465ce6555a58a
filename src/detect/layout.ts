/** Which part of a row stands where: built from the parts in force, so that restore can map rows by name and version. */
import type { PagePart } from '../log/page.ts'
import type { Field, RowPart } from './detector.ts'

export interface Place {
  readonly part: RowPart
  readonly at64: number
  readonly at32: number
  readonly width64: number
  readonly width32: number
}

/** All float64 numbers of a row come first, part after part, then all float32 ones; a row is padded to 8 bytes. */
export interface Layout {
  readonly places: readonly Place[]
  readonly parts: readonly PagePart[]
  /** Bytes of a row, a multiple of 8. */
  readonly stride: number
}

export function makeLayout(parts: readonly RowPart[]): Layout {
  const total64 = parts.reduce((sum, part) => sum + widthOf(part, 'float64'), 0)
  let at64 = 0
  let at32 = 2 * total64
  const places = parts.map((part) => {
    const width64 = widthOf(part, 'float64')
    const width32 = widthOf(part, 'float32')
    const place = { part, at64, at32, width64, width32 }
    at64 += width64
    at32 += width32
    return place
  })
  return {
    places,
    parts: places.map(({ part, width64, width32 }) => ({ name: part.name, version: part.version, float64: width64, float32: width32 })),
    stride: Math.max(8, Math.ceil(at32 / 2) * 8),
  }
}

function widthOf(part: RowPart, type: Field['type']): number {
  return [...part.fields.present, ...part.fields.baseline].reduce((sum, field) => sum + (field.type === type ? field.width : 0), 0)
}

/** Numbers to be copied from a stored row to a row of this layout: float32 indices count from the row's start. */
export interface Move {
  readonly from64: number
  readonly to64: number
  readonly width64: number
  readonly from32: number
  readonly to32: number
  readonly width32: number
}

/** What a row written with `stored` parts brings to `layout`: parts of equal name, version and widths; the rest warms up from zeros. */
export function movesBetween(stored: readonly PagePart[], layout: Layout): Move[] {
  const moves: Move[] = []
  let from64 = 0
  let from32 = 2 * stored.reduce((sum, part) => sum + part.float64, 0)
  for (const part of stored) {
    const place = layout.places.find((p) => p.part.name === part.name && p.part.version === part.version)
    if (place && place.width64 === part.float64 && place.width32 === part.float32)
      moves.push({ from64, to64: place.at64, width64: part.float64, from32, to32: place.at32, width32: part.float32 })
    from64 += part.float64
    from32 += part.float32
  }
  return moves
}
