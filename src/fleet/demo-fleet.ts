/** The fleet of the demonstration, drawn from a seed: who is in it, and what goes wrong with whom and when. */
import { DemoDevice, type DeviceKind, type Member } from './demo-device.ts'
import { Prng } from './prng.ts'
import type { Trouble, Truth } from './truth.ts'

/** From message to message, ms: so fast that half a minute is enough to learn what is normal. */
const PERIOD_MS = 100
const GROUPS = [
  { kind: 'pump', count: 16 },
  { kind: 'wearable', count: 10 },
  { kind: 'gateway', count: 6 },
] as const

/** Faults begin in this span, ms since the fleet's start: after a warm-up, and early enough for all to be over within 90 s. */
const BEGIN_FROM = 36_000
const BEGIN_TO = 42_000
/** Left alone, a fault lasts so long, ms. */
const LASTS = 36_000
/** Sensors that stick: the line of a pressure sensor clogs, the wheel of a flow meter jams. */
const STICKY = ['flow', 'pressure'] as const

/** From the faults of one round to those of the next, ms: all are over by then, and what was quarantined is well again. */
const ROUND_MS = 120_000

/** By then every fault has begun, ms since the fleet's start. */
export const ALL_BEGUN_MS = BEGIN_TO

export interface DemoFleet {
  readonly seed: number
  readonly devices: readonly DemoDevice[]
  /** In the order in which they begin. */
  readonly truths: readonly Truth[]
}

export function drawFleet(seed: number): DemoFleet {
  const root = new Prng(seed)
  const members = GROUPS.flatMap((group) => drawMembers(group, root))
  const truths = drawTruths(members, root.fork('troubles'))
  const devices = members.map((member) => {
    return new DemoDevice(member, truths.find(({ device }) => device === member.id) ?? null, root.fork(member.id))
  })
  return { seed, devices, truths }
}

function drawMembers({ kind, count }: { readonly kind: DeviceKind; readonly count: number }, root: Prng): Member[] {
  return Array.from({ length: count }, (_, i) => {
    const id = `${kind}-${String(i + 1).padStart(2, '0')}`
    return { id, kind, periodMs: PERIOD_MS, firstAt: Math.round(root.fork(`${id}/first`).between(0, PERIOD_MS)) }
  })
}

/** The faults of a later round, 1 and up: each again, on whom the seed and the round say, `round` times two minutes after those of the fleet itself. */
export function drawRound({ seed, devices }: DemoFleet, round: number): readonly Truth[] {
  const members = devices.map(({ member }) => member)
  return drawTruths(members, new Prng(seed).fork(`troubles/${round}`)).map((truth) => ({ ...truth, from: truth.from + round * ROUND_MS, to: truth.to + round * ROUND_MS }))
}

/** Each on a device of its own. */
function drawTruths(members: readonly Member[], prng: Prng): Truth[] {
  const well = [...members]
  const draw = (kind: Trouble, ...among: readonly DeviceKind[]): Truth => {
    const { id } = prng.pick(well.filter((member) => among.includes(member.kind)))
    well.splice(well.findIndex((member) => member.id === id), 1)
    const from = prng.whole(BEGIN_FROM, BEGIN_TO)
    return { device: id, kind, from, to: from + LASTS, metric: kind === 'stuck' ? prng.pick(STICKY) : '' }
  }
  return [
    draw('bearing', 'pump'),
    draw('stuck', 'pump'),
    draw('takeover', 'gateway'),
    draw('silence', 'pump', 'wearable'),
    draw('clock', 'pump', 'wearable'),
  ].sort((a, b) => a.from - b.from)
}
