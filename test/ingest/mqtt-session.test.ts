/** The MQTT source's session at a real Mosquitto: what waits for it, what comes again, what is history, and who shares. */
import { describe, expect, it } from 'vitest'
import { FLAG_RETAIN } from '../../src/core/message.ts'
import { flagsOf } from '../../src/ingest/decoded.ts'
import { withMosquitto } from '../parts/suites.ts'
import { connect, freshId, numbered, publish, publishAll, startSource, until, VERSIONS } from './mqtt-lab.ts'

withMosquitto('An MQTT source', { lines: ['max_inflight_messages 100'], persistence: true }, (mosquitto) => {
  const url = () => `mqtt://127.0.0.1:${mosquitto().port}`
  /** Topics that no other test has. */
  const fresh = () => {
    const root = freshId()
    return { root, topics: [`${root}/{class}/{device}`], topic: `${root}/pump/p-7` }
  }

  describe.each(VERSIONS)('of MQTT %s', (version) => {
    it('gets what came while it was away, and is behind until it has all of it', async () => {
      const { topics, topic } = fresh()
      const about = { url: url(), version, clientId: freshId(), topics }
      const first = await startSource(about)
      expect(first.source.status().backlog).toBe(false)
      await first.source.stop()
      await publishAll(await connect(url()), topic, numbered(3_000))
      // Slowly, so that much of it is still to come when the connection is up.
      const behindAt: boolean[] = []
      const second = await startSource(about, {
        deliver: async (_message, source) => {
          if (source.status().connectedSince !== null) behindAt.push(source.status().backlog)
          await new Promise((resolve) => setTimeout(resolve, 1))
        },
      })
      await until(() => second.received.length === 3_000)
      expect(behindAt.length).toBeGreaterThan(1_000)
      expect(behindAt.every(Boolean)).toBe(true)
      await until(() => !second.source.status().backlog)
      expect(second.texts()).toEqual(numbered(3_000))
    })

    it('is not behind for ever where messages never stop', async () => {
      const { topics, topic } = fresh()
      const about = { url: url(), version, clientId: freshId(), topics }
      await (await startSource(about)).source.stop()
      const device = await connect(url())
      const over = new AbortController()
      const stream = (async () => {
        while (!over.signal.aborted) await device.publishAsync(topic, 'x', { qos: 1 })
      })()
      const { source, received } = await startSource(about)
      await until(() => !source.status().backlog)
      const before = received.length
      await until(() => received.length > before)
      over.abort()
      await stream
    })

    it('reads what is retained as history, once, and its successor as news', async () => {
      const { topics, topic } = fresh()
      await publish(url(), topic, 'old', { retain: true })
      const about = { url: url(), version, clientId: freshId(), topics }
      const { source, received, texts } = await startSource(about)
      await until(() => received.length === 1)
      expect(flagsOf(received[0]!) & FLAG_RETAIN).toBe(FLAG_RETAIN)
      await publish(url(), topic, 'new', { retain: true })
      await until(() => received.length === 2)
      expect(received[1]!.retain).toBe(false)
      const since = source.status().connectedSince
      await mosquitto().restart()
      await until(() => ![null, since].includes(source.status().connectedSince))
      await publish(url(), topic, 'after')
      await until(() => texts().includes('after'))
      expect(texts()).toEqual(['old', 'new', 'after'])
    })

    it('loses nothing when the broker is restarted under it', async () => {
      const { topics, topic } = fresh()
      const { source, received, texts } = await startSource({ url: url(), version, topics })
      await publishAll(await connect(url()), topic, numbered(200))
      await until(() => received.length >= 200)
      await mosquitto().restart()
      await until(() => source.trouble?.() === null && source.status().connectedSince !== null)
      await publishAll(await connect(url()), topic, numbered(200, 200))
      await until(() => new Set(texts()).size === 400)
    })

    it('shares a group’s messages with the other members', async () => {
      const { topics, topic } = fresh()
      const members = await Promise.all([1, 2].map(() => startSource({ url: url(), version, topics, share: `g-${topic.slice(0, 8)}` })))
      expect(members[0]!.source.isLed).toBe(false)
      await publishAll(await connect(url()), topic, numbered(200))
      await until(() => members[0]!.received.length + members[1]!.received.length === 200)
      for (const { received } of members) expect(received.length).toBeGreaterThan(50)
      expect(members.flatMap((member) => member.texts()).map(Number).sort((a, b) => a - b)).toEqual(numbered(200).map(Number))
    })
  })

  it('acknowledges what it was handed before it leaves', async () => {
    const { topics, topic } = fresh()
    const about = { url: url(), clientId: freshId(), topics }
    const first = await startSource(about, { deliver: () => new Promise((resolve) => setTimeout(resolve, 50)) })
    await publishAll(await connect(url()), topic, numbered(20))
    await until(() => first.received.length === 20)
    await first.source.stop()
    const second = await startSource(about)
    await publish(url(), topic, 'next')
    await until(() => second.received.length > 0)
    expect(second.texts()).toEqual(['next'])
  })

  it('has no more under way than its window, which the broker minds', async () => {
    const { topics, topic } = fresh()
    let underWay = 0
    let most = 0
    const { received } = await startSource({ url: url(), topics, window: 20 }, {
      deliver: async () => {
        most = Math.max(most, ++underWay)
        await new Promise((resolve) => setTimeout(resolve, 1))
        underWay--
      },
    })
    await publishAll(await connect(url()), topic, numbered(1_000))
    await until(() => received.length === 1_000)
    expect(most).toBeGreaterThan(10)
    expect(most).toBeLessThanOrEqual(21)
  })

  it('passes on content type and user properties, the last of each name', async () => {
    const { topics, topic } = fresh()
    const { received } = await startSource({ url: url(), topics })
    await publish(url(), topic, '1', { properties: { contentType: 'application/json', userProperties: { at: '17', twice: ['a', 'b'] } } })
    await publish(url(), topic, '2')
    await until(() => received.length === 2)
    expect(received[0]).toMatchObject({ contentType: 'application/json', account: null, properties: new Map([['at', '17'], ['twice', 'b']]) })
    expect(received[1]!.contentType).toBeUndefined()
    expect(received[1]!.properties).toBeUndefined()
  })

  it('takes whom the broker names for the account, and nobody where it names none or two', async () => {
    const { topics, topic } = fresh()
    const { received } = await startSource({ url: url(), topics, identity: { property: 'who' } })
    for (const who of ['p-7', '', ['p-7', 'p-8']]) await publish(url(), topic, 'x', who === '' ? {} : { properties: { userProperties: { who } } })
    await until(() => received.length === 3)
    const mayBe = (device: string) => received.map(({ account }) => account!.mayBe(device))
    expect(mayBe('p-7')).toEqual([true, false, false])
    expect(mayBe('p-8')).toEqual([false, false, false])
    expect(received.map(({ client }) => client)).toEqual(['p-7', '', ''])
  })

  it('is behind for as long as devices may take to come back, where it was connected before', async () => {
    const { topics } = fresh()
    const about = { url: url(), clientId: freshId(), topics, returnMs: 60_000 }
    const first = await startSource(about)
    expect(first.source.status().backlog).toBe(false)
    await first.source.stop()
    const second = await startSource(about)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(second.source.status().backlog).toBe(true)
  })
})
