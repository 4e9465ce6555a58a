/** Bench: the hot loop of one partition by itself: frames in memory → rounds → detectors → rows; and what the rows weigh and how fast they come back. */
import { DETECTORS, type Settings } from '../src/core/settings.ts'
import { Checkpoint } from '../src/detect/checkpoint.ts'
import { PartitionState } from '../src/detect/partition.ts'
import type { Frame } from '../src/log/frame.ts'
import { decodePage, encodePage } from '../src/log/page.ts'

const MESSAGES = 512
const METRICS = 8

/** As of `config/picket.yaml`, with room for a million series. */
const settings: Settings = {
  classes: {
    default: {
      budget: { alarms: 1, perMs: 30 * 86_400_000 },
      backfill: false,
      reports: 'periodic',
      heartbeatMs: null,
      silence: true,
      warmup: 300,
      quarantine: null,
      timezone: 'UTC',
      metrics: {},
    },
  },
  sites: {},
  devices: {},
  detectors: [...DETECTORS],
  capacity: { devices: 130_000, series: 1_040_000, classes: 4, incidents: 1000 },
  limits: { metricsPerDevice: 64, newSeriesPerMinute: 64 },
  toleranceMs: 300_000,
  expireMs: 30 * 86_400_000,
}

export interface RowsReport {
  readonly readingsPerSecond: number
  readonly microsPerMessage: number
  readonly bytesPerSeries: number
  readonly restoreSeconds: number
}

/** `devices` of 8 metrics, in seeded random order, under all detectors or those given. Best of the passes: the machine is shared. */
export function benchRows(devices: number, detectors: readonly string[] = DETECTORS): RowsReport {
  const checkpoint = new Checkpoint(0)
  const partition = new PartitionState({ incarnation: '', partition: 0 }, checkpoint.beforeChange)
  const start = 1_700_000_000_000
  partition.advance(start)
  partition.control({ id: 'config', incarnation: 'bench', at: start, body: { kind: 'config', version: 1, hash: '', settings: { ...settings, detectors } } }, 0)
  const frames = makeFrames(devices, start)
  let best = Infinity
  let offset = 1
  for (let pass = 0; pass < 5; pass++) {
    const began = performance.now()
    for (const frame of frames) partition.frame(frame, offset++)
    partition.settle()
    best = Math.min(best, (performance.now() - began) / (frames.length * MESSAGES))
  }
  const { series } = partition.state!.tables
  return {
    readingsPerSecond: (METRICS / best) * 1000,
    microsPerMessage: best * 1000,
    bytesPerSeries: series.layout.stride,
    restoreSeconds: restore(partition),
  }
}

/** Seconds from encoded pages to a partition that can go on. */
function restore(partition: PartitionState): number {
  partition.writeFacts()
  const pages = [...partition.state!.pages()].map(encodePage)
  const began = performance.now()
  new PartitionState({ incarnation: 'bench', partition: 0 }, () => undefined).load(pages.map(decodePage))
  return (performance.now() - began) / 1000
}

/** Every device at least once a pass; the order from a linear congruential generator (Numerical Recipes), so that runs can be compared. */
function makeFrames(devices: number, start: number): Frame[] {
  let seed = 1
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) | 0
    return (seed >>> 0) / 2 ** 32
  }
  const order = Int32Array.from({ length: Math.max(devices, 100 * MESSAGES) }, (_, i) => i % devices)
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  const frames: Frame[] = []
  for (let at = 0; at + MESSAGES <= order.length; at += MESSAGES) frames.push(makeFrame(order.subarray(at, at + MESSAGES), start + at, random))
  return frames
}

function makeFrame(order: Int32Array, arrival: number, random: () => number): Frame {
  const names = [...new Set(order)]
  const place = new Map(names.map((device, i) => [device, i]))
  const readings = MESSAGES * METRICS
  return {
    source: 'bench',
    devices: names.map((device) => ({ name: `device-${device}`, labels: { class: 'default' } })),
    metrics: Array.from({ length: METRICS }, (_, m) => `metric-${m}`),
    categories: {},
    device: Int32Array.from(order, (device) => place.get(device)!),
    time: new Float64Array(MESSAGES).fill(NaN),
    arrival: new Float64Array(MESSAGES).fill(arrival),
    start: Int32Array.from({ length: MESSAGES }, (_, i) => i * METRICS),
    count: new Int32Array(MESSAGES).fill(METRICS),
    size: new Int32Array(MESSAGES).fill(200),
    payload: Float64Array.from({ length: MESSAGES }, () => Math.floor(random() * 2 ** 52)),
    shape: new Float64Array(MESSAGES),
    flags: new Uint8Array(MESSAGES),
    metric: Int32Array.from({ length: readings }, (_, i) => i % METRICS),
    kind: new Uint8Array(readings),
    value: Float64Array.from({ length: readings }, () => 50 + random()),
  }
}
