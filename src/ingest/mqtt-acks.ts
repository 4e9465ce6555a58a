/** Acknowledgements of one connection: owed in the order the messages came [MQTT-4.6.0-2], given when they are in the log, many in one write. */

/** First byte of the packet that takes a message off its sender: PUBACK for QoS 1, PUBREC for QoS 2. */
export const PUBACK = 0x40
export const PUBREC = 0x50
/** Both are four bytes, the same in 3.1.1 and (as success, the reason left out) in 5. */
const ACK_BYTES = 4

/** One message that came and is not acknowledged. */
export interface Owed {
  readonly packet: typeof PUBACK | typeof PUBREC
  readonly id: number
  isDurable: boolean
}

/** Packet ids mean something on the connection they came on only, so it has its own of these and closes it at its end. */
export class Acks {
  readonly #write: (bytes: Buffer) => void
  readonly #onSettled: () => void
  #queue: Owed[] = []
  /** Of the oldest not acknowledged. */
  #head = 0
  #isClosed = false
  #isScheduled = false

  /** `write` gets whole packets; `onSettled` hears that fewer are owed, or that none will be written any more. */
  constructor(write: (bytes: Buffer) => void, onSettled: () => void) {
    this.#write = write
    this.#onSettled = onSettled
  }

  /** Messages that came and are not acknowledged. */
  get owed(): number {
    return this.#queue.length - this.#head
  }

  /** In the order the messages came. */
  owe(packet: Owed['packet'], id: number): Owed {
    const owed = { packet, id, isDurable: false }
    this.#queue.push(owed)
    return owed
  }

  /** It is in the log. What became durable together is written together: a flush resolves many in one turn. */
  durable(owed: Owed): void {
    owed.isDurable = true
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#give()
    })
  }

  /** Its ids mean nothing from here on; what is owed the broker sends again on the next connection. */
  close(): void {
    this.#isClosed = true
    this.#queue = []
    this.#head = 0
    this.#onSettled()
  }

  #give(): void {
    if (this.#isClosed) return
    let end = this.#head
    while (end < this.#queue.length && this.#queue[end]!.isDurable) end++
    const count = end - this.#head
    if (count === 0) return
    const bytes = Buffer.allocUnsafe(count * ACK_BYTES)
    for (let i = 0; i < count; i++) {
      const { packet, id } = this.#queue[this.#head + i]!
      bytes.writeUInt16BE((packet << 8) | 2, i * ACK_BYTES)
      bytes.writeUInt16BE(id, i * ACK_BYTES + 2)
    }
    this.#head = end
    this.#shrink()
    this.#write(bytes)
    this.#onSettled()
  }

  /** Not at each, so that a full window doesn't cost a copy of itself a batch. */
  #shrink(): void {
    if (this.#head === this.#queue.length) this.#queue = []
    else if (this.#head > this.#queue.length / 2) this.#queue = this.#queue.slice(this.#head)
    else return
    this.#head = 0
  }
}
