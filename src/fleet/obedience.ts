/** The device's side of the device contract, version 1 (docs/device.md), without a clock or a key: what it does on a command, and what it answers. */
import { deviceTopic, parseDeviceTopic } from '../core/device-topic.ts'
import type { Clock } from '../ops/clock.ts'

const VERSION = 1
/** Ids that are remembered with their answers. */
const IDS_KEPT = 32
/** Longest wait of a timer, ms. */
const LONGEST_TIMER = 2 ** 31 - 1

type Status = 'accepted' | 'done' | 'rejected'

interface Answer {
  readonly status: Status
  readonly reason: string
}

export interface ObedienceOptions {
  readonly device: string
  readonly clock: Pick<Clock, 'after'>
  /** Takes an answer; QoS 1. */
  readonly answer: (topic: string, payload: string) => void
  /** Called when it begins or ends. */
  readonly onQuarantine: (isQuarantined: boolean) => void
}

type Fields = Readonly<Record<string, unknown>>

export class Obedience {
  readonly #options: ObedienceOptions
  readonly #answers = new Map<string, Answer>()
  #generation = 0
  #isQuarantined = false
  #cancelEnd: () => void = () => undefined

  constructor(options: ObedienceOptions) {
    this.#options = options
  }

  get isQuarantined(): boolean {
    return this.#isQuarantined
  }

  /** What to listen to, the desired state first. */
  get topics(): readonly string[] {
    const { device } = this.#options
    return [deviceTopic(device, 'desired'), deviceTopic(device, 'command')]
  }

  /** A message under one of `topics`. What is no message of the contract is left alone. */
  receive(topic: string, payload: Uint8Array): void {
    const message = parse(payload)
    if (message?.['v'] !== VERSION || !Number.isSafeInteger(message['generation'])) return
    const kind = parseDeviceTopic(topic)?.kind
    if (kind === 'command' && typeof message['id'] === 'string') this.#obey(message, message['id'])
    if (kind === 'desired') this.#adopt(message)
  }

  /** Lets go of its timer. */
  close(): void {
    this.#cancelEnd()
  }

  /** An id is executed once; a repeat gets the answer the first got. */
  #obey(command: Fields, id: string): void {
    const known = this.#answers.get(id)
    if (known) return this.#answer(command, known)
    const reason = this.#refusal(command)
    if (reason !== '') return this.#settle(command, id, { status: 'rejected', reason })
    this.#answer(command, { status: 'accepted', reason: '' })
    this.#generation = command['generation'] as number
    this.#become(command['kind'] === 'quarantine', Number(command['ttl']) * 1000)
    this.#settle(command, id, { status: 'done', reason: '' })
  }

  /** '' when it is to be obeyed. */
  #refusal({ device, kind, generation, ttl }: Fields): string {
    if (device !== this.#options.device) return `for ${String(device)}, not for ${this.#options.device}`
    if (kind !== 'quarantine' && kind !== 'release') return `unknown kind ${String(kind)}`
    if (kind === 'quarantine' && !(Number(ttl) > 0)) return 'expired'
    // Its desired state, of the same generation, comes first and may have done it already.
    const isDone = generation === this.#generation && this.#isQuarantined === (kind === 'quarantine')
    return (generation as number) > this.#generation || isDone ? '' : `generation ${String(generation)} is not newer than ${this.#generation}`
  }

  /** Without a clock `until` says nothing: a quarantine lasts until the command with its ttl, or the release. */
  #adopt({ state, generation }: Fields): void {
    if ((generation as number) < this.#generation || (state !== 'normal' && state !== 'quarantined')) return
    this.#generation = generation as number
    this.#become(state === 'quarantined', Number.POSITIVE_INFINITY)
  }

  #become(isQuarantined: boolean, ms: number): void {
    this.#cancelEnd()
    this.#cancelEnd = () => undefined
    if (isQuarantined && ms !== Number.POSITIVE_INFINITY) this.#endAfter(ms)
    if (this.#isQuarantined === isQuarantined) return
    this.#isQuarantined = isQuarantined
    this.#options.onQuarantine(isQuarantined)
  }

  /** It ends by itself: nobody has to reach the device for that. */
  #endAfter(ms: number): void {
    this.#cancelEnd = this.#options.clock.after(Math.min(ms, LONGEST_TIMER), () => (ms > LONGEST_TIMER ? this.#endAfter(ms - LONGEST_TIMER) : this.#become(false, 0)))
  }

  #settle(command: Fields, id: string, answer: Answer): void {
    this.#answers.set(id, answer)
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= IDS_KEPT) break
      this.#answers.delete(oldest)
    }
    this.#answer(command, answer)
  }

  #answer({ id, generation }: Fields, { status, reason }: Answer): void {
    this.#options.answer(deviceTopic(this.#options.device, 'ack'), JSON.stringify({ v: VERSION, id, generation, status, reason }))
  }
}

function parse(payload: Uint8Array): Fields | null {
  try {
    const message: unknown = JSON.parse(Buffer.from(payload).toString('utf8'))
    return message !== null && typeof message === 'object' ? (message as Fields) : null
  } catch {
    return null // a device has nobody to tell: what it can't read is not for it
  }
}
