/** A detector by itself: rows in a table, rounds of one message, without the engine around them. */
import { KIND_NUMBER } from '../../src/core/message.ts'
import type { Detector, Explanation, RowPart, Rows } from '../../src/detect/detector.ts'
import { RoundColumns } from '../../src/detect/rounds.ts'
import { Table } from '../../src/detect/table.ts'

export interface FedFields {
  readonly kind?: number
  /** As `Round.clock`. */
  readonly clock?: number
  /** ms since the reading before. */
  readonly since?: number
}

export interface Feed {
  /** Scores and learns one reading, by a weight or by what makes one of the surprise; gives the surprise. */
  (value: number, weight: number | ((surprise: number) => number), fields?: FedFields): number
  accept(): void
  explain(value: number, fields?: FedFields): Explanation
  /** The detector's numbers in the row: float64 ones, then float32 ones. */
  row(): number[]
  /** The same of what it looks at; none where it names none. */
  basis(): number[]
  /** Name of the field at a place of `row()`. */
  fieldAt(at: number): string
}

const ROW = 1

/** One series under one series detector. Its row is not the table's first, so that a wrong stride shows. */
export function oneSeries(detector: Detector): Feed {
  const { basis } = detector
  const table = new Table('series', 3, basis ? [basis, detector] : [detector], () => {})
  const rows = table.view(detector.name)!
  const ground = { rows: basis ? table.view(basis.name)! : rows, columns: new Float64Array(basis?.columns ?? 0) }
  const round = new RoundColumns()
  const scratch = new Float64Array(detector.scratch)
  const out = new Float32Array(1)
  const ofRow = [...names(detector, 'float64'), ...names(detector, 'float32')]
  const fill = (value: number, { kind = KIND_NUMBER, clock = 0, since = 60_000 }: FedFields) => {
    round.clear()
    const m = round.addMessage(0)
    round.clock[m] = clock
    round.since[round.addReading(m, ROW, kind, value, -Infinity, Infinity)] = since
    basis?.compute(round, ground.rows, ground.columns)
  }
  const feed = (value: number, weight: number | ((surprise: number) => number), fields: FedFields = {}) => {
    fill(value, fields)
    detector.score(round, rows, scratch, out, ground)
    const surprise = out[0]!
    const weights = Float32Array.of(typeof weight === 'number' ? weight : weight(surprise))
    detector.learn(round, rows, scratch, weights, ground)
    basis?.learn(round, ground.rows, ground.columns, weights)
    return surprise
  }
  return Object.assign(feed, {
    accept() {
      basis?.accept?.(ground.rows, ROW)
      detector.accept?.(rows, ROW)
    },
    explain(value: number, fields: FedFields = {}) {
      fill(value, fields)
      return detector.explain(round, rows, 0, ground)
    },
    row: () => numbers(detector, rows),
    basis: () => (basis ? numbers(basis, ground.rows) : []),
    fieldAt: (at: number) => ofRow[at]!,
  })
}

/** Names of a part's numbers of one type, in row order. */
function names({ fields: { present, baseline } }: RowPart, type: string): string[] {
  return [...present, ...baseline].flatMap((field) => (field.type === type ? Array.from({ length: field.width }, () => field.name) : []))
}

function numbers(part: RowPart, rows: Rows): number[] {
  const o64 = ROW * rows.stride64 + rows.at64
  const o32 = ROW * rows.stride32 + rows.at32
  const [wide, narrow] = [names(part, 'float64').length, names(part, 'float32').length]
  return [...rows.float64.subarray(o64, o64 + wide), ...rows.float32.subarray(o32, o32 + narrow)]
}
