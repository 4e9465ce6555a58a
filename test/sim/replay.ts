/** A run of detect alone over a log that is there already: no crash, no other writer, and slices cut as asked. */
import { createDetect } from '../../src/detect/detect.ts'
import { MemoryCluster, type SlicePolicy } from '../../src/log/memory.ts'
import { SimMetrics, simLogger } from './instruments.ts'
import { incidentsOf, type Raw, type StateRow, stateOf, type ToldIncident } from './reader.ts'
import { SimClock, World } from './world.ts'

/** Of one partition. */
export interface Replayed {
  readonly rows: ReadonlyMap<string, StateRow>
  readonly incidents: ReadonlyMap<string, ToldIncident>
}

const NEVER = { everyMs: 1e12, bytes: 1e12 }
const STEP_MS = 100
const STEPS_MOST = 1_000

/** `readings` by partition. */
export async function replay(readings: readonly (readonly Raw[])[], slices: SlicePolicy): Promise<readonly Replayed[]> {
  const world = new World()
  const clock = new SimClock(world)
  const cluster = new MemoryCluster({ clock, partitions: readings.length, slices })
  readings.forEach((records, partition) => cluster.load('readings', partition, records))
  const metrics = new SimMetrics()
  const detect = createDetect({ log: cluster.connect(), clock, metrics, logger: simLogger(world, 'replay', null) }, NEVER)
  const stop = new AbortController()
  let ended = false
  const run = detect.run(stop.signal).finally(() => (ended = true))
  run.catch(() => undefined) // awaited below
  let left = Infinity
  for (let step = 0; step < STEPS_MOST && left > 0; step++) {
    await world.run(world.time + STEP_MS)
    await detect.measure()
    left = ended ? 0 : detect.reasons().length + metrics.sum('picket_lag_records')
  }
  stop.abort()
  await world.run(world.time + 10_000, () => ended)
  await run
  return readings.map((_, partition) => ({
    rows: stateOf(cluster.dump('state', partition)).rows,
    incidents: incidentsOf(cluster.dump('incidents', partition)).incidents,
  }))
}

/** Where two sets of rows differ first, or null. */
export function rowDifference(a: ReadonlyMap<string, StateRow>, b: ReadonlyMap<string, StateRow>): string | null {
  for (const [name, row] of a) {
    const other = b.get(name)
    if (!other) return `row ${name} is missing`
    const field = (['row', 'about', 'numbers'] as const).find((key) => row[key] !== other[key])
    if (field) return `row ${name}: ${field} ${difference(String(row[field]), String(other[field]))}`
  }
  for (const name of b.keys()) if (!a.has(name)) return `row ${name} is one too many`
  return null
}

/** Where two texts part, and a little of each. */
function difference(a: string, b: string): string {
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  return `at ${at}: ${a.slice(Math.max(0, at - 20), at + 60)} | ${b.slice(Math.max(0, at - 20), at + 60)}`
}
