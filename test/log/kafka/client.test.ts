/** The seam to kafkajs: what it hands on, what it cuts, and what it asks of each topic by itself. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { leaderOf, openClient } from '../../../src/log/kafka/client.ts'
import { protocolError } from '../../../src/log/kafka/trouble.ts'
import { withKafka } from '../../parts/suites.ts'
import { Lines } from '../journal/rig.ts'
import { optionsFor, ReadingRig } from './reading-rig.ts'

describe('a client', () => {
  const ends: (() => void)[] = []
  afterEach(() => {
    for (const end of ends.splice(0)) end()
  })

  /** Takes connections and never says a word. */
  async function silent(): Promise<{ address: string; first: Promise<Socket> }> {
    const taken: Socket[] = []
    const server = createServer((socket) => void taken.push(socket.resume()))
    const first = once(server, 'connection').then(([socket]) => socket as Socket)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    ends.push(() => {
      for (const socket of taken) socket.destroy()
      server.close()
    })
    return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, first }
  }

  it('says what kafkajs says as debug lines alone', async () => {
    const logger = new Lines()
    const cluster = openClient(optionsFor(['127.0.0.1:1'], { logger }), 'test', { retry: { retries: 0 } }).cluster()
    await expect(cluster.connect()).rejects.toThrow('ECONNREFUSED')
    expect(logger.of('debug').join()).toContain('ECONNREFUSED')
    expect(logger.all.length).toBe(logger.of('debug').length)
  })

  it('cuts the connections of a broker that leaves a request without an answer', async () => {
    const { address, first } = await silent()
    const tuning = { retry: { retries: 0 }, connectionTimeoutMs: 100, requestTimeoutMs: 100 }
    const cluster = openClient(optionsFor([address]), 'test', tuning).cluster()
    await expect(cluster.connect()).rejects.toThrow('timed out')
    const socket = await first
    if (!socket.destroyed) await once(socket, 'close')
    expect(socket.destroyed).toBe(true)
  })

  it('rejects what waits once it is ended', async () => {
    const { address, first } = await silent()
    const client = openClient(optionsFor([address]), 'test', { retry: { retries: 0 } })
    const connecting = client.cluster().connect()
    const rejected = expect(connecting).rejects.toThrow('the client was closed')
    await first
    client.end()
    await rejected
  })
})

withKafka('a cluster', (kafka) => {
  it('knows who leads the others when one topic is unknown', async () => {
    const rig = await ReadingRig.open(kafka.brokers)
    await rig.make('readings', { partitions: 2 })
    const client = openClient(rig.options, 'test')
    const cluster = client.cluster()
    await cluster.addMultipleTargetTopics([rig.name('state'), rig.name('readings')])
    expect(cluster.getNodeIds()).toContain(String(leaderOf(cluster, rig.name('readings'), 1)))
    const said = (topic: string, partition: number) => {
      try {
        return leaderOf(cluster, topic, partition)
      } catch (error) {
        return protocolError(error)
      }
    }
    expect(said(rig.name('state'), 0)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect(said(rig.name('readings'), 2)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    await cluster.disconnect()
    await rig.close()
  })
})
