/** A detector by itself: rows in a table, rounds of one message, without the engine around them. */
import { KIND_NUMBER } from '../../src/core/message.ts'
import type { Detector, Explanation } from '../../src/detect/detector.ts'
import { RoundColumns } from '../../src/detect/rounds.ts'
import { Table } from '../../src/detect/table.ts'

export interface Feed {
  /** Scores and learns one reading, by a weight or by what makes one of the surprise; gives the surprise. */
  (value: number, weight: number | ((surprise: number) => number), kind?: number): number
  accept(): void
  explain(value: number): Explanation
  /** The row's numbers: float64 ones, then float32 ones. */
  row(): number[]
  /** Name of the field at a place of `row()`. */
  fieldAt(at: number): string
}

const ROW = 1

/** One series under one series detector. Its row is not the table's first, so that a wrong stride shows. */
export function oneSeries(detector: Detector): Feed {
  const table = new Table('series', 3, [detector], () => {})
  const rows = table.view(detector.name)!
  const round = new RoundColumns()
  const scratch = new Float64Array(detector.scratch)
  const out = new Float32Array(1)
  const { present, baseline } = detector.fields
  const names = (type: string) => [...present, ...baseline].flatMap((field) => (field.type === type ? Array.from({ length: field.width }, () => field.name) : []))
  const fields = [...names('float64'), ...names('float32')]
  const fill = (value: number, kind: number) => {
    round.clear()
    round.addReading(round.addMessage(0), ROW, kind, value, -Infinity, Infinity)
  }
  const feed = (value: number, weight: number | ((surprise: number) => number), kind: number = KIND_NUMBER) => {
    fill(value, kind)
    detector.score(round, rows, scratch, out)
    const surprise = out[0]!
    detector.learn(round, rows, scratch, Float32Array.of(typeof weight === 'number' ? weight : weight(surprise)))
    return surprise
  }
  return Object.assign(feed, {
    accept: () => detector.accept?.(rows, ROW),
    explain(value: number) {
      fill(value, KIND_NUMBER)
      return detector.explain(round, rows, 0)
    },
    row() {
      const o64 = ROW * rows.stride64 + rows.at64
      const o32 = ROW * rows.stride32 + rows.at32
      const wide = names('float64').length
      return [...rows.float64.subarray(o64, o64 + wide), ...rows.float32.subarray(o32, o32 + fields.length - wide)]
    },
    fieldAt: (at: number) => fields[at]!,
  })
}
