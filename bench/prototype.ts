/**
 * Bench: how near level, season and drift come to the prototype they are ported from, reading by reading of each CSV in a folder; over the float32 rows
 * of the product, and over the same rows kept in float64. `npm run bench prototype -- UNIVARIATE.py FOLDER`
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { KIND_NUMBER } from '../src/core/message.ts'
import { basesOf } from '../src/detect/catalogue.ts'
import type { Rows } from '../src/detect/detector.ts'
import { drift } from '../src/detect/detectors/drift.ts'
import { level } from '../src/detect/detectors/level.ts'
import { season } from '../src/detect/detectors/season.ts'
import { moveGates, seriesGate } from '../src/detect/gate.ts'
import { makeLayout } from '../src/detect/layout.ts'
import { RoundColumns } from '../src/detect/rounds.ts'

const DETECTORS = [level, season, drift]
/** First readings that level, season and drift do not speak of yet, though the prototype does. */
const SILENT = [11, 11, 300]
/** The prototype's own threshold. */
const ALARM = 3.25

interface Reading {
  readonly clock: number
  readonly since: number
  readonly value: number
  /** Of each detector, then the largest. */
  readonly u: readonly number[]
}

const [univariate, folder] = process.argv.slice(2)
if (!univariate || !folder) throw new Error('usage: npm run bench prototype -- UNIVARIATE.py FOLDER')
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.csv')).sort()
for (const file of files) report(file, prototypeOf(univariate, join(folder, file)))

function prototypeOf(python: string, file: string): Reading[] {
  const { stdout, stderr, status } = spawnSync('python3', ['bench/prototype.py', python, file], { encoding: 'utf8', maxBuffer: 1 << 28 })
  if (status !== 0) throw new Error(`the prototype failed on ${file}: ${stderr}`)
  return stdout.trimEnd().split('\n').map((line) => {
    const [clock, since, value, ...u] = line.split(' ').map(Number)
    return { clock: clock!, since: since!, value: value!, u }
  })
}

function report(file: string, readings: readonly Reading[]): void {
  const narrow = compare(readings, portOf(readings, { wide: false, gated: false }))
  const wide = compare(readings, portOf(readings, { wide: true, gated: false }))
  const gated = portOf(readings, { wide: false, gated: true })
  const above = (us: readonly number[]) => us.filter((u) => u > ALARM).length
  process.stdout.write(
    `${file}: ${readings.length} readings; float32 worst ${narrow.worst.toExponential(1)} of u ${narrow.at.toFixed(2)}, ${narrow.beyond(1e-4)} beyond 1e-4, ` +
      `${narrow.beyond(1e-2)} beyond 1e-2, ${narrow.odd} beyond 1e-4 where it alarms (u > 3.25); float64 worst ${wide.worst.toExponential(1)}, ${wide.beyond(1e-9)} beyond 1e-9; ` +
      `u > 3.25: prototype ${above(readings.map(({ u }) => u[3]!))}, gated ${above(gated.us.map((u) => u[3]!))}, ${gated.frozen} frozen\n`,
  )
}

interface Port {
  readonly us: readonly (readonly number[])[]
  /** Readings that taught nothing. */
  readonly frozen: number
}

/** One series of its own; what has no opinion says 0. */
function portOf(readings: readonly Reading[], { wide, gated }: { wide: boolean; gated: boolean }): Port {
  const bases = basesOf(DETECTORS)
  const layout = makeLayout([seriesGate, ...bases, ...DETECTORS])
  const numbers = layout.stride / 4
  const view = (name: string): Rows => {
    const { at32, at64 } = layout.places.find(({ part }) => part.name === name)!
    const floats = wide ? (wideFloats as unknown as Float32Array) : narrowFloats
    return { float64, float32: floats, stride64: numbers, stride32: numbers, at64, at32 }
  }
  const wideFloats = new Float64Array(numbers)
  const narrowFloats = new Float32Array(numbers)
  const float64 = new Float64Array(numbers)
  const round = new RoundColumns()
  const grounds = new Map(bases.map((basis) => [basis, { rows: view(basis.name), columns: new Float64Array(basis.columns) }]))
  const seats = DETECTORS.map((detector) => ({ detector, rows: view(detector.name), scratch: new Float64Array(1), ground: grounds.get(detector.basis!)! }))
  const out = wide ? (new Float64Array(1) as unknown as Float32Array) : new Float32Array(1)
  const gate = view(seriesGate.name)
  const weight = Float32Array.of(1)
  let frozen = 0
  const us = readings.map(({ clock, since, value }) => {
    round.clear()
    const m = round.addMessage(0)
    round.clock[m] = clock
    round.since[round.addReading(m, 0, KIND_NUMBER, value, -Infinity, Infinity)] = since
    for (const [basis, { rows, columns }] of grounds) basis.compute(round, rows, columns)
    const said = seats.map(({ detector, rows, scratch, ground }) => {
      detector.score(round, rows, scratch, out, ground)
      return out[0]! || 0
    })
    const u = Math.max(...said)
    let accepted = false
    if (gated) moveGates(1, round.series, Float32Array.of(u), gate, weight, () => (accepted = true))
    if (weight[0] === 0) frozen++
    for (const { detector, rows, scratch, ground } of seats) detector.learn(round, rows, scratch, weight, ground)
    for (const [basis, { rows, columns }] of grounds) basis.learn(round, rows, columns, weight)
    if (accepted) for (const { detector, rows } of seats) detector.accept?.(rows, 0)
    if (accepted) for (const [basis, { rows }] of grounds) basis.accept?.(rows, 0)
    return [...said, u]
  })
  return { us, frozen }
}

/** How far the port lies from the prototype: |Δu| / max(1, u), of each detector and of the largest. */
function compare(readings: readonly Reading[], { us }: Port) {
  const off = readings.map(({ u }, t) => Math.max(...u.map((want, k) => (t < (SILENT[k] ?? 300) ? 0 : Math.abs(us[t]![k]! - want) / Math.max(1, want)))))
  const worst = Math.max(...off)
  const isOdd = (one: number, t: number) => one > 1e-4 && Math.max(readings[t]!.u[3]!, us[t]![3]!) > ALARM
  return { worst, at: readings[off.indexOf(worst)]!.u[3]!, odd: off.filter(isOdd).length, beyond: (limit: number) => off.filter((one) => one > limit).length }
}
