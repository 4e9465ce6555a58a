/** One delivered message → what its frames take: each device's samples, checked against who published them, hashed and bounded. */
import { FLAG_TRIMMED } from '../core/message.ts'
import type { Message } from '../core/message.ts'
import { readAs } from '../core/topic-rule.ts'
import { decodePayload } from './codecs/codec.ts'
import { propertyTime } from './codecs/event-time.ts'
import type { PayloadPlan } from './codecs/payload-plan.ts'
import { flagsOf, SampleHasher } from './decoded.ts'
import type { DecodedMessage, DecodedSample } from './decoded.ts'
import { FRAME_MESSAGES } from '../log/frame.ts'
import { fitsAFrame, roomOf } from './frame-builder.ts'
import type { Room } from './frame-builder.ts'
import type { IngestLimits } from './limits.ts'
import { MetricSets } from './metric-sets.ts'
import { quoted, Refusal } from './refusal.ts'
import type { Place, Route } from './routes.ts'

export interface Placed {
  readonly partition: number
  readonly message: DecodedMessage
  readonly room: Room
}

export interface Decoded {
  /** One a device the payload speaks of, or several where a frame takes fewer samples. */
  readonly messages: readonly Placed[]
  /** Readings beyond their device's limit of metrics. */
  readonly leftOut: number
}

/** All samples of one device, in the payload's order. */
interface Group {
  readonly place: Place
  readonly samples: readonly DecodedSample[]
  readonly leftOut: number
}

export class Decoder {
  readonly #limits: IngestLimits
  readonly #metricSets: MetricSets
  readonly #hasher = new SampleHasher()

  /** `expireMs`: metrics unseen for so long make room for others. */
  constructor(limits: IngestLimits, expireMs: number) {
    this.#limits = limits
    this.#metricSets = new MetricSets(limits, expireMs)
  }

  /** All of a payload or, by a Refusal, nothing of it: who sent it gets one answer. */
  decode(message: Message, route: Route): Decoded {
    const plan = planOf(message, route.plan)
    const told = timeTold(message, plan)
    const samples = decodePayload(message.payload, route.metric, plan, this.#limits)
    const places = samples.map(({ names }) => route.placeOf(names, message.properties))
    for (const { device } of places) checkClaim(message, device.name)
    const admitted = samples.map(({ time, fields }, i) => ({
      time: told ?? time,
      fields: this.#metricSets.admit(places[i]!.device.name, fields, message.arrival),
    }))
    const hashed = this.#hasher.hash(message.payload, route.metric, admitted)
    const groups = groupsOf(places, hashed, (i) => samples[i]!.fields.length - hashed[i]!.fields.length)
    const most = this.#limits.frameMessages ?? FRAME_MESSAGES
    return { messages: groups.flatMap((group) => inParts(group, most)).map((group) => placed(message, group)), leftOut: groups.reduce((sum, { leftOut }) => sum + leftOut, 0) }
  }
}

/** What a message says of its payload goes before what its topic says. */
function planOf({ contentType }: Message, plan: PayloadPlan): PayloadPlan {
  if (contentType === undefined || plan.codec === 'plain') return plan
  const codec = readAs(contentType, plan.codec)
  return codec === plan.codec ? plan : { ...plan, codec }
}

/** The event time of all samples of a message that tells it in a user property; null: it doesn't. Throws a Refusal. */
function timeTold({ properties }: Message, { timeProperty, timeUnit }: PayloadPlan): number | null {
  const claimed = timeProperty === undefined ? undefined : properties?.get(timeProperty)
  return claimed === undefined ? null : propertyTime(timeProperty!, claimed, timeUnit)
}

/** `leftOutOf`: readings left out of the sample of this index. */
function groupsOf(places: readonly Place[], samples: readonly DecodedSample[], leftOutOf: (index: number) => number): readonly Group[] {
  // Nearly all messages; a map for each would cost them a tenth of their decoding.
  if (samples.length === 1) return [{ place: places[0]!, samples, leftOut: leftOutOf(0) }]
  const groups = new Map<string, { readonly place: Place; readonly samples: DecodedSample[]; leftOut: number }>()
  samples.forEach((sample, i) => {
    const place = places[i]!
    const group = groups.get(place.deviceKey) ?? { place, samples: [], leftOut: 0 }
    group.samples.push(sample)
    group.leftOut += leftOutOf(i)
    groups.set(place.deviceKey, group)
  })
  return [...groups.values()]
}

/** `most`: samples a frame takes. */
function inParts(group: Group, most: number): readonly Group[] {
  const { samples } = group
  if (samples.length <= most) return [group]
  const parts = Array.from({ length: Math.ceil(samples.length / most) }, (_, i) => samples.slice(i * most, (i + 1) * most))
  return parts.map((part) => ({ ...group, samples: part }))
}

/** Throws a Refusal where a payload names a device that its publisher may not speak for. */
function checkClaim({ account }: Message, device: string): void {
  if (!account || account.mayBe(device)) return
  const allowed = account.isGateway ? 'itself or a device of its line in the credentials file' : 'itself'
  const claim = `device ${quoted(device)}, which ${quoted(account.name)} may not speak for`
  throw new Refusal('identity', `payload names ${claim}, expected ${allowed}`)
}

function placed(message: Message, { place, samples, leftOut }: Group): Placed {
  const decoded: DecodedMessage = {
    source: message.source,
    device: place.device,
    deviceKey: place.deviceKey,
    samples,
    arrival: message.arrival,
    size: message.payload.length,
    flags: flagsOf(message) | (leftOut > 0 ? FLAG_TRIMMED : 0),
  }
  const room = roomOf(decoded)
  if (!fitsAFrame(room))
    throw new Refusal('payload_size', `message of ${room.readings} readings and up to ${room.bytes} bytes is more than a frame holds`)
  return { partition: place.partition, message: decoded, room }
}
