/** Load for the bench: many lean MQTT 3.1.1 publishers over raw sockets, because a full client costs more than what it measures. */
import { connect, type Socket } from 'node:net'

const WINDOW = 64
const HEADER_CONNACK = 2
const HEADER_PUBACK = 4

export interface LoadOptions {
  readonly port: number
  readonly connections: number
  readonly messagesPerSecond: number
  /** Metrics a message. */
  readonly metrics: number
}

interface Publisher {
  readonly socket: Socket
  readonly topic: Buffer
  readonly index: number
  inFlight: number
  packetId: number
  rest: Buffer
}

/** Sends at a steady pace until stopped; a connection with a full window skips its turn. */
export class Load {
  acked = 0
  sent = 0
  skipped = 0
  readonly #options: LoadOptions
  readonly #publishers: Publisher[] = []
  #timer: NodeJS.Timeout | undefined
  #turn = 0
  #began = 0

  constructor(options: LoadOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    for (let i = 0; i < this.#options.connections; i++) this.#publishers.push(await this.#connect(i))
    this.#began = performance.now()
    this.#timer = setInterval(() => this.#due(), 4)
  }

  stop(): void {
    clearInterval(this.#timer)
    for (const { socket } of this.#publishers) socket.destroy()
  }

  #connect(index: number): Promise<Publisher> {
    const id = `load-${index}`
    return new Promise((resolve, reject) => {
      const socket = connect(this.#options.port, '127.0.0.1')
      const publisher: Publisher = { socket, topic: text(`telemetry/load/${id}`), index, inFlight: 0, packetId: 0, rest: Buffer.alloc(0) }
      socket.setNoDelay(true)
      socket.on('error', reject)
      socket.on('data', (chunk) => {
        for (const type of this.#read(publisher, chunk)) {
          if (type === HEADER_CONNACK) resolve(publisher)
          if (type !== HEADER_PUBACK) continue
          publisher.inFlight--
          this.acked++
        }
      })
      const variable = Buffer.concat([text('MQTT'), Buffer.from([4, 2, 0, 0]), text(id)])
      socket.write(Buffer.concat([Buffer.from([0x10, variable.length]), variable]))
    })
  }

  /** Types of the whole packets in what came; both kinds a publisher gets are 4 bytes. */
  *#read(publisher: Publisher, chunk: Buffer): Iterable<number> {
    const bytes = Buffer.concat([publisher.rest, chunk])
    let at = 0
    for (; at + 4 <= bytes.length; at += 4) yield bytes[at]! >> 4
    publisher.rest = bytes.subarray(at)
  }

  #due(): void {
    const due = ((performance.now() - this.#began) / 1000) * this.#options.messagesPerSecond
    for (; this.#turn < due; this.#turn++) this.#publish(this.#publishers[this.#turn % this.#publishers.length]!)
  }

  #publish(publisher: Publisher): void {
    if (publisher.inFlight >= WINDOW) {
      this.skipped++
      return
    }
    publisher.inFlight++
    publisher.packetId = (publisher.packetId % 0xffff) + 1
    const payload = Buffer.from(payloadOf(publisher.index, this.#turn, this.#options.metrics))
    const id = Buffer.from([publisher.packetId >> 8, publisher.packetId & 0xff])
    const length = publisher.topic.length + 2 + payload.length
    publisher.socket.write(Buffer.concat([Buffer.from([0x32]), remainingLength(length), publisher.topic, id, payload]))
    this.sent++
  }
}

function payloadOf(index: number, turn: number, metrics: number): string {
  const fields = Array.from({ length: metrics }, (_, m) => `"m${m}":${(50 + m + Math.sin(turn / 100 + index + m)).toFixed(3)}`)
  return `{"ts":${Date.now()},${fields.join(',')}}`
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

/** MQTT 3.1.1, section 2.2.3. */
function remainingLength(length: number): Buffer {
  const bytes = []
  do {
    const low = length % 128
    length = Math.floor(length / 128)
    bytes.push(length > 0 ? low | 128 : low)
  } while (length > 0)
  return Buffer.from(bytes)
}
