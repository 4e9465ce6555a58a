/** A made-up life of one partition, drawn from a seed: every kind of record and trouble that detect has to take the same way in any cut. */
import { FLAG_DUP, FLAG_RETAIN } from '../../src/core/message.ts'
import { DETECTORS, type Settings } from '../../src/core/settings.ts'
import type { Control } from '../../src/log/control.ts'
import { classOf, configOf, controlOf, frameOf, listening, metricOf, type Sent, settingsOf, START, tickOf, type Value } from './fleet.ts'
import type { Entry } from './runner.ts'
import { seeded, type Seeded } from './seeded.ts'

/** Each second of it is a tick. */
const SECONDS = 1_800

interface Device {
  readonly name: string
  readonly labels: Record<string, string>
  readonly every: number
  readonly metrics: readonly string[]
  /** 'none': arrival counts. */
  readonly clock: 'none' | 'right' | 'wild'
  silentFrom: number
  silentTo: number
  faultFrom: number
  faultTo: number
  /** Its newest messages, to be repeated; few enough that detect still knows them. */
  recent: Sent[]
}

export interface Story {
  readonly entries: Entry[]
  /** The same without its exact repeats. */
  readonly withoutRepeats: Entry[]
}

export function makeStory(seed: number): Story {
  const random = seeded(seed)
  const devices = Array.from({ length: 7 }, (_, i) => makeDevice(random, i))
  const before: Settings = settingsOf({
    classes: { default: lively(), pump: lively({ metrics: { a: metricOf({ above: 60, unit: 'mm/s' }) } }) },
    detectors: random.pick([['level', 'silence'], ['season', 'limits', 'level'], ['stuck', 'drift']]),
    capacity: { devices: 9, series: 24, classes: 4, incidents: random.pick([5, 64]) },
  })
  const after: Settings = {
    ...before,
    detectors: random.pick([[...DETECTORS], DETECTORS.toReversed()]),
    // Where it gets four o'clock within the story.
    classes: { ...before.classes, pump: lively({ timezone: 'Asia/Kathmandu', metrics: { a: metricOf({ above: 45, severity: 'critical' }) } }), monitor: lively({ heartbeatMs: 20_000 }) },
    expireMs: random.pick([200_000, 86_400_000]),
  }
  const changeAt = random.whole(100, SECONDS - 100)
  const records: { time: number; value: Entry['value']; without?: Entry['value'] | null }[] = [{ time: START, value: configOf(1, before) }]
  const said: Control[] = []
  let told = 0
  for (let second = 0; second < SECONDS; second++) {
    const time = START + 1_000 * second
    if (second === changeAt) records.push({ time, value: configOf(2, after) })
    for (const control of controlsAt(random, devices, second)) said.push(controlOf(`c-${second}-${control.kind}`, control))
    for (const value of said.slice(told)) records.push({ time, value })
    told = said.length
    if (told > 0 && random.onceIn(100)) records.push({ time, value: random.pick(said), without: null })
    const messages = devices.flatMap((device) => messagesAt(random, device, second))
    if (messages.length > 0) records.push(frameRecord(random, time + random.whole(0, 400), messages))
    // An outage of ours: no ticks for a while.
    if (second % 400 > 390) continue
    const tick = tickOf(`t-${second}`, [listening('field', { backlog: second % 300 < 10 })])
    records.push({ time: time + 500, value: tick })
    if (random.onceIn(40)) records.push({ time: time + 510, value: tick, without: null })
    if (random.onceIn(200)) records.push({ time: time + 520, value: configOf(1, before), without: null })
  }
  records.push({ time: START + 1_000 * SECONDS, value: tickOf('last') })
  return {
    entries: records,
    withoutRepeats: records.flatMap(({ time, value, without }) => (without === null ? [] : [{ time, value: without ?? value }])),
  }
}

/** A class that allows an alarm every ten minutes, so that there is something to compare. */
function lively(fields: Parameters<typeof classOf>[0] = {}) {
  return classOf({ budget: { alarms: 1, perMs: 600_000 }, ...fields })
}

function makeDevice(random: Seeded, i: number): Device {
  const klass = random.pick(['pump', 'monitor', 'constructor', ''])
  const silentFrom = random.whole(400, SECONDS)
  const faultFrom = random.whole(300, SECONDS)
  return {
    name: `device-${i}`,
    labels: klass ? { class: klass, site: 'north' } : {},
    // The first one speaks each second, so that its gates come to guard.
    every: i === 0 ? 1 : random.whole(2, 9),
    metrics: ['a', 'b', 'c'].slice(0, random.whole(1, 3)),
    clock: i === 0 ? 'none' : random.pick(['none', 'right', 'wild']),
    silentFrom: i === 0 ? SECONDS : silentFrom,
    silentTo: silentFrom + random.whole(60, 300),
    faultFrom: i === 0 ? 1_600 : faultFrom,
    faultTo: (i === 0 ? 1_600 : faultFrom) + random.whole(1, 80),
    recent: [],
  }
}

function controlsAt(random: Seeded, devices: Device[], second: number) {
  if (!random.onceIn(150)) return []
  const device = random.pick(devices)
  if (random.onceIn(6)) {
    // What it sent is forgotten with it, so that a repeat would be news.
    device.recent = []
    return [{ kind: 'reset' as const, device: device.name, metric: null }]
  }
  if (random.onceIn(3)) return [{ kind: 'reset' as const, device: device.name, metric: random.pick(device.metrics) }]
  const until = random.onceIn(3) ? null : START + 1_000 * second + random.whole(5_000, 60_000)
  return [{ kind: 'quarantine' as const, device: device.name, generation: second, until }]
}

/** What one device sends in one second: as a rule one message or none; a repeat is the very object of the original. */
function messagesAt(random: Seeded, device: Device, second: number): { sent: Sent; repeat: boolean }[] {
  const out: { sent: Sent; repeat: boolean }[] = []
  if (second % device.every === 0 && !(second >= device.silentFrom && second < device.silentTo)) {
    const sent = messageAt(random, device, second)
    out.push({ sent, repeat: false })
    device.recent = [...device.recent, sent].slice(-8)
    if (random.onceIn(60) && device.labels['class']) Object.assign(device, { labels: { ...device.labels, class: random.pick(['pump', 'monitor']) } })
  }
  if (device.recent.length > 0 && random.onceIn(25)) {
    const sent = random.pick(device.recent)
    // Expired rows forget what they were sent, so only what is young is repeated.
    if (sent.arrival < START + 1_000 * second - 60_000) return out
    if (sent.time !== undefined || sent.flags) out.push({ sent, repeat: true })
  }
  if (random.onceIn(2_000)) out.push({ sent: { device: `stranger-${second}`, metrics: { a: 1 }, arrival: START + 1_000 * second }, repeat: false })
  return out
}

function messageAt(random: Seeded, device: Device, second: number): Sent {
  const arrival = START + 1_000 * second + random.whole(0, 900)
  const odd = second >= device.faultFrom && second < device.faultTo
  const metrics: Record<string, Value> = {}
  const sticks = second % 500 > 440
  for (const metric of device.metrics) metrics[metric] = sticks && metric === 'a' ? 20.5 : Math.fround(20 + 3 * random.normal() + (odd ? 40 : 0) + (random.onceIn(300) ? 30 : 0))
  if (random.onceIn(20)) metrics['state'] = random.pick([true, false, 'idle', null])
  if (random.onceIn(80)) metrics[`extra-${random.whole(0, 30)}`] = 1
  const flags = random.onceIn(3) ? random.pick([FLAG_DUP, FLAG_RETAIN]) : 0
  return { device: device.name, labels: device.labels, metrics, arrival, flags, payload: random.whole(1, 2 ** 51), ...claimed(random, device, arrival) }
}

function claimed(random: Seeded, device: Device, arrival: number): { time?: number } {
  if (device.clock === 'none') return {}
  if (device.clock === 'right') return { time: random.onceIn(15) ? arrival - random.whole(1_000, 40_000) : arrival }
  // Steps back by minutes for good, or is out of all bounds.
  if (random.onceIn(10)) return { time: 0 }
  return { time: arrival - (arrival % 600_000 > 300_000 ? 120_000 : 0) }
}

function frameRecord(random: Seeded, time: number, messages: { sent: Sent; repeat: boolean }[]) {
  const source = random.onceIn(30) ? 'yard' : 'field'
  const originals = messages.filter(({ repeat }) => !repeat).map(({ sent }) => sent)
  const without = originals.length > 0 ? frameOf(originals, source) : null
  return { time, value: frameOf(messages.map(({ sent }) => sent), source), without }
}
