/** Connections to a real Kafka on which a test can lose an answer, or hold a request back, by the kind of the request. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { vi } from 'vitest'
import type { KafkaOptions } from '../../../src/log/kafka/options.ts'
import { COMPACTED } from '../../../src/log/log.ts'
import type { Topic } from '../../../src/log/log.ts'
import { ReadingRig } from './reading-rig.ts'

/** Partitions of each topic of a shared rig. */
export const PARTITIONS = 64

/** Topics cost half a second to make and to delete, so the tests of a file share them: each takes partitions of its own. */
export async function shareRig(brokers: readonly string[], topics: readonly Topic[]): Promise<ReadingRig> {
  const rig = await ReadingRig.open(brokers)
  const compacted = [{ name: 'cleanup.policy', value: 'compact' }]
  const wanted = topics.map((topic) => ({ topic: rig.name(topic), numPartitions: PARTITIONS, configEntries: COMPACTED.has(topic) ? compacted : [] }))
  // With `waitForLeaders` kafkajs throws when a broker does not know of all of them yet.
  await rig.admin.createTopics({ waitForLeaders: false, topics: wanted })
  const names = topics.map((topic) => rig.name(topic))
  // Rejects while one is not there, or not led.
  await vi.waitFor(() => rig.admin.fetchTopicMetadata({ topics: names }), { timeout: 30_000 })
  return rig
}

/** Kafka's numbers of the requests that write. */
export const API = { produce: 0, initProducerId: 22, addPartitions: 24, endTxn: 26 } as const
export type Api = keyof typeof API

type Fault = 'lose the answer' | 'lose the request' | 'hold the answer'

interface Armed {
  readonly api: number
  readonly fault: Fault
  left: number
  /** Told when the request was written, or its answer held. */
  readonly met: () => void
}

/** Bytes 4 and 5 of a request say of what kind it is. */
const API_AT = 4

export class Line {
  readonly sockets = new Set<Socket>()
  /** Kinds of the requests in the order they were written. */
  readonly asked: number[] = []
  #armed: Armed[] = []
  #held: (() => void)[] = []
  #isShut = false

  readonly open: NonNullable<KafkaOptions['socketFactory']> = ({ host, port, onConnect }) => {
    // Nobody listens on port 1.
    const socket = connect({ host, port: this.#isShut ? 1 : port }, onConnect)
    socket.setNoDelay(true)
    this.sockets.add(socket)
    socket.once('close', () => this.sockets.delete(socket))
    this.#tap(socket)
    return socket
  }

  /** The next `times` requests of a kind meet `fault`. Resolves when the first is on its way, or its answer held. */
  meet(api: Api, fault: Fault, times = 1): Promise<void> {
    return new Promise((resolve) => {
      this.#armed.push({ api: API[api], fault, left: times, met: resolve })
    })
  }

  count(api: Api): number {
    return this.asked.filter((one) => one === API[api]).length
  }

  /** Nothing more is lost, and what was held comes. */
  mend(): void {
    this.#armed = []
    this.#isShut = false
    for (const release of this.#held.splice(0)) release()
  }

  /** No new connections until `mend`. */
  shut(): void {
    this.#isShut = true
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy(new Error('cut by the test'))
  }

  #tap(socket: Socket): void {
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    const emit = socket.emit.bind(socket) as (...args: unknown[]) => boolean
    let doom: Armed | undefined
    let isHeld = false
    socket.write = ((...args: unknown[]) => {
      const bytes = args[0] as Buffer
      const api = bytes.readInt16BE(API_AT)
      this.asked.push(api)
      const armed = this.#armed.find((one) => one.api === api && one.left > 0)
      if (!armed) return write(...args)
      armed.left--
      if (armed.fault !== 'hold the answer') armed.met()
      if (armed.fault === 'lose the request') {
        socket.destroy(new Error('the request was lost by the test'))
        return false
      }
      doom = armed
      return write(...args)
    }) as typeof socket.write
    socket.emit = ((...args: unknown[]) => {
      if (args[0] !== 'data' || (!doom && !isHeld)) return emit(...args)
      if (doom?.fault === 'lose the answer') {
        doom = undefined
        socket.destroy(new Error('the answer was lost by the test'))
        return true
      }
      // And all that comes after it on this connection.
      isHeld = true
      doom?.met()
      this.#held.push(() => {
        isHeld = false
        doom = undefined
        emit(...args)
      })
      return true
    }) as typeof socket.emit
  }
}
