/** Ingest over the memory log: when it acknowledges, what it writes, what it refuses, drops and counts. */
import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/core/hash.ts'
import { FLAG_DUP, FLAG_QOS1, FLAG_RETAIN, FLAG_TRIMMED } from '../../src/core/message.ts'
import { DEAD_LETTER_PAYLOAD_BYTES } from '../../src/ingest/dead-letter.ts'
import type { Failure } from '../../src/log/memory.ts'
import type { Account } from '../../src/core/message.ts'
import { deadLettersIn, framesIn, HandSource, isPending, makeLab, messagesIn, SETTINGS } from './lab.ts'

const PUMP = 'telemetry/pump/p-7'
const HOME = partitionOf('p-7', 2)

/** A device whose home is this partition. */
function deviceIn(partition: number): string {
  return ['a', 'b', 'c', 'd'].find((device) => partitionOf(device, 2) === partition)!
}

async function started(options: Parameters<typeof makeLab>[0] = {}) {
  const lab = makeLab(options)
  const start = lab.ingest.start()
  await lab.clock.advance(50)
  await start
  return lab
}

/** Flushes take 20 ms. */
const slow = { cluster: { faults: { latency: ({ kind }: { kind: string }) => (kind === 'flush' ? 20 : 0) } } }

/** Fails what `failing.kind` names, while it is set. */
function failing() {
  const state: { failure: Failure | undefined; kind: string } = { failure: undefined, kind: 'append' }
  return { state, cluster: { faults: { fail: ({ kind }: { kind: string }) => (kind === state.kind ? state.failure : undefined) } } }
}

describe('a message', () => {
  it('is acknowledged only after the flush that covers it', async () => {
    const { clock, cluster, source } = await started(slow)
    const ack = source.send(PUMP, '{"t":20}')
    await clock.advance(10)
    expect(framesIn(cluster, HOME)).toHaveLength(1)
    expect(await isPending(ack)).toBe(true)
    await clock.advance(20)
    await expect(ack).resolves.toBeUndefined()
  })

  it('stands in the partition of its device, with labels, time, arrival and flags', async () => {
    const { clock, cluster, source } = await started()
    void source.send(PUMP, '{"t":20,"ts":1700000000000}', { dup: true, retain: true })
    await clock.advance(0)
    expect(messagesIn(cluster, HOME)).toEqual([
      { device: 'p-7', labels: { class: 'pump' }, time: 1_700_000_000_000, arrival: 1_700_000_000_123, flags: FLAG_DUP | FLAG_RETAIN | FLAG_QOS1, metrics: { t: 20 } },
    ])
    expect(messagesIn(cluster, 1 - HOME)).toEqual([])
  })

  it('of a topic with a metric is that metric', async () => {
    const { clock, cluster, source } = await started()
    void source.send(`${PUMP}/flow`, '3.5')
    await clock.advance(0)
    expect(messagesIn(cluster, HOME)[0]?.metrics).toEqual({ flow: 3.5 })
  })

  it('shares a frame with all that came in the same turn, in order', async () => {
    const { clock, cluster, source } = await started()
    for (let i = 0; i < 5; i++) void source.send(PUMP, `{"n":${i}}`)
    await clock.advance(0)
    expect(framesIn(cluster, HOME)).toHaveLength(1)
    expect(messagesIn(cluster, HOME).map(({ metrics }) => metrics['n'])).toEqual([0, 1, 2, 3, 4])
  })

  it('does not wait for the flush of earlier ones to be appended', async () => {
    const { clock, cluster, source } = await started(slow)
    void source.send(PUMP, '{"n":0}')
    await clock.advance(5)
    void source.send(PUMP, '{"n":1}')
    await clock.advance(5)
    expect(framesIn(cluster, HOME)).toHaveLength(2)
  })

  it('gathers into fuller frames when too much is under way', async () => {
    const { clock, cluster, source } = await started({ ...slow, limits: { inFlight: { records: 2, bytes: 1e9 } } })
    for (let i = 0; i < 10; i++) {
      void source.send(PUMP, `{"n":${i}}`)
      await clock.advance(1)
    }
    await clock.advance(100)
    expect(framesIn(cluster, HOME).map(({ device }) => device.length)).toEqual([1, 1, 8])
    expect(messagesIn(cluster, HOME).map(({ metrics }) => metrics['n'])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('is counted as received, its frame as written', async () => {
    const { clock, meters, source } = await started(slow)
    void source.send(PUMP, '{"n":0}')
    await clock.advance(20)
    expect([meters.of('picket_messages_received_total', 'field'), meters.of('picket_frames_total')]).toEqual([1, 1])
    expect(meters.of('picket_ingest_flush_seconds')).toBeCloseTo(0.02)
  })

})

describe('an append', () => {
  it.each(['append', 'flush'])('whose %s fails acknowledges nothing, is counted, and makes ingest unready until the next that works', async (kind) => {
    const { state, cluster } = failing()
    const { clock, ingest, meters, source } = await started({ cluster })
    Object.assign(state, { failure: 'DISK_FULL', kind })
    const ack = source.send(PUMP, '{"n":0}')
    const outcome = expect(ack).rejects.toMatchObject({ code: 'DISK_FULL' })
    await clock.advance(5)
    await outcome
    expect(meters.of('picket_ingest_errors_total')).toBe(1)
    expect(ingest.readiness().reasons).toEqual([expect.stringMatching(`^readings/${HOME} takes nothing`)])
    state.failure = undefined
    void source.send(PUMP, '{"n":0}', { dup: true })
    await clock.advance(5)
    expect(ingest.readiness()).toEqual({ ready: true, reasons: [] })
  })

  it('that fails loses a QoS 0 message, and says so', async () => {
    const { state, cluster } = failing()
    const { clock, meters, source } = await started({ cluster })
    state.failure = 'IO'
    const outcome = expect(source.send(PUMP, '{"n":0}', { qos: 0 })).rejects.toMatchObject({ code: 'IO' })
    await clock.advance(5)
    await outcome
    expect(meters.of('picket_messages_dropped_total', 'ingest', 'log')).toBe(1)
  })
})

describe('a message that can not be read', () => {
  it('is a dead letter with its reason, text and origin', async () => {
    const { clock, cluster, meters, source } = await started()
    const ack = source.send(PUMP, '{"t":')
    await clock.advance(0)
    await ack
    expect(deadLettersIn(cluster)).toEqual([
      {
        reason: 'not_json', text: expect.stringContaining('payload is no JSON') as string, source: 'field', client: 'c1', topic: PUMP,
        payload: Buffer.from('{"t":').toString('base64'), bytes: 5, arrival: 1_700_000_000_123,
      },
    ])
    expect(meters.of('picket_dead_letters_total', 'not_json')).toBe(1)
  })

  it('is acknowledged only after its dead letter is durable', async () => {
    const { clock, source } = await started(slow)
    const ack = source.send(PUMP, 'x')
    await clock.advance(10)
    expect(await isPending(ack)).toBe(true)
    await clock.advance(20)
    await ack
  })

  it('waits with others like it when too much is under way', async () => {
    const { clock, cluster, source } = await started({ ...slow, limits: { inFlight: { records: 2, bytes: 1e9 } } })
    for (let i = 0; i < 5; i++) void source.send(PUMP, 'x')
    await clock.advance(5)
    expect(deadLettersIn(cluster)).toHaveLength(2)
    await clock.advance(100)
    expect(deadLettersIn(cluster)).toHaveLength(5)
  })

  it('is kept up to 4 KiB', async () => {
    const { clock, cluster, source } = await started()
    void source.send(PUMP, 'x'.repeat(70_000))
    await clock.advance(0)
    const [letter] = deadLettersIn(cluster)
    expect([letter!.reason, letter!.bytes, Buffer.from(letter!.payload, 'base64').length]).toEqual(['payload_size', 70_000, DEAD_LETTER_PAYLOAD_BYTES])
  })

  it('for its topic, which fits no pattern, is a dead letter too, acknowledged after that is durable', async () => {
    const { clock, cluster, meters, source } = await started(slow)
    const ack = source.send('other/x', '1')
    await clock.advance(10)
    expect(await isPending(ack)).toBe(true)
    await clock.advance(20)
    await ack
    expect([messagesIn(cluster, 0), messagesIn(cluster, 1)]).toEqual([[], []])
    const text = 'topic "other/x" fits none of telemetry/+/+, telemetry/+/+/+'
    expect(deadLettersIn(cluster)).toEqual([expect.objectContaining({ reason: 'topic', text, topic: 'other/x', payload: Buffer.from('1').toString('base64') })])
    expect(meters.of('picket_dead_letters_total', 'topic')).toBe(1)
  })

  it('for its device name is a dead letter too', async () => {
    const { clock, cluster, source } = await started()
    void source.send('telemetry/pump/a\0b', '{"t":1}')
    await clock.advance(0)
    expect(deadLettersIn(cluster)[0]?.reason).toBe('name')
  })

  it('for its size in a frame is a dead letter too', async () => {
    const { clock, cluster, source } = await started({ limits: { payloadBytes: 1e6 } })
    void source.send(PUMP, `{"s":"${'x'.repeat(300_000)}"}`)
    await clock.advance(0)
    expect(deadLettersIn(cluster)[0]).toMatchObject({ reason: 'payload_size', text: expect.stringContaining('more than a frame holds') as string })
  })

  it('makes at most one log line a second a reason, with how many were left out', async () => {
    const { clock, lines, source } = await started()
    for (let i = 0; i < 5; i++) void source.send(PUMP, 'x')
    void source.send(PUMP, '[]')
    await clock.advance(1000)
    void source.send(PUMP, 'x')
    await clock.advance(0)
    expect(lines.map(({ fields }) => [fields['reason'], fields['leftOut']])).toEqual([['not_json', 0], ['array', 0], ['not_json', 4]])
  })

  it('has its client and topic in the line as they are, cut where they are long', async () => {
    const { clock, lines, source } = await started()
    void source.send(`telemetry/pump/${'p'.repeat(100)}`, 'x')
    await clock.advance(0)
    expect(lines[0]?.fields).toMatchObject({ client: 'c1', topic: `telemetry/pump/${'p'.repeat(49)}…` })
  })
})

describe('a payload of many samples', () => {
  const source = new HandSource()
  const gateway = { ingest: { sources: [{ source, patterns: [{ pattern: 'gateway/{site}', device: '{payload.id}' }] }] } }
  const onlyP7: Account = { name: 'p-7', isGateway: false, mayBe: (device) => device === 'p-7' }

  it('is as many messages, in order, each with its own time and identity', async () => {
    const { clock, cluster, source: field } = await started()
    void field.send(PUMP, '[{"ts":1700000000000,"t":1},{"ts":1700000001000,"t":1},{"t":1}]')
    await clock.advance(0)
    expect(messagesIn(cluster, HOME).map(({ time }) => time)).toEqual([1_700_000_000_000, 1_700_000_001_000, Number.NaN])
    const [frame] = framesIn(cluster, HOME)
    expect(new Set(frame!.payload).size).toBe(3)
  })

  it('has the identity again that it had, when it comes again', async () => {
    const { clock, cluster, source: field } = await started()
    for (let i = 0; i < 2; i++) void field.send(PUMP, '[{"t":1},{"t":1}]')
    await clock.advance(0)
    const [a, b, ...again] = framesIn(cluster, HOME).flatMap(({ payload }) => [...payload])
    expect(again).toEqual([a, b])
  })

  it('of several devices is acknowledged as one, when all are durable', async () => {
    const { clock, cluster } = await started({ ...gateway, cluster: { faults: { latency: ({ kind, partition }) => (kind === 'append' && partition === 1 ? 20 : 0) } } })
    const ids = [deviceIn(0), deviceIn(1), deviceIn(0)]
    const ack = source.send('gateway/leeds', JSON.stringify(ids.map((id, i) => ({ id, n: i }))))
    await clock.advance(10)
    expect([messagesIn(cluster, 0).length, await isPending(ack)]).toEqual([2, true])
    await clock.advance(20)
    await ack
    expect([0, 1].map((partition) => messagesIn(cluster, partition).map(({ device, labels, metrics }) => [device, labels, metrics]))).toEqual([
      [[ids[0], { site: 'leeds' }, { n: 0 }], [ids[2], { site: 'leeds' }, { n: 2 }]],
      [[ids[1], { site: 'leeds' }, { n: 1 }]],
    ])
  })

  it('of several devices is not acknowledged while one of them is not durable', async () => {
    const state = { fails: false }
    const { clock } = await started({ ...gateway, cluster: { faults: { fail: ({ kind, partition }) => (state.fails && kind === 'append' && partition === 1 ? 'IO' : undefined) } } })
    state.fails = true
    const outcome = expect(source.send('gateway/leeds', JSON.stringify([deviceIn(1), deviceIn(0)].map((id) => ({ id }))))).rejects.toMatchObject({ code: 'IO' })
    await clock.advance(5)
    await outcome
  })

  it('is refused as a whole, and nothing of it is taken, where one sample is', async () => {
    const { clock, cluster, meters, source: field } = await started()
    void field.send(PUMP, '[{"t":1},{"t":[[]]}]')
    await clock.advance(0)
    expect([messagesIn(cluster, HOME), deadLettersIn(cluster)[0]?.text]).toEqual([[], 'sample 2 of 2: field "t" is a list with a list in it, expected numbers, true, false, text or null'])
    expect(meters.of('picket_dead_letters_total', 'array')).toBe(1)
  })

  it('counts and flags what is left out of the device that brings too much', async () => {
    const { clock, cluster, meters } = await started({ ...gateway, limits: { metricsPerDevice: 2 } })
    void source.send('gateway/leeds', '[{"id":"p-7","a":1,"b":1,"c":1},{"id":"p-70","a":1}]')
    await clock.advance(0)
    const taken = [0, 1].flatMap((partition) => messagesIn(cluster, partition))
    expect(Object.fromEntries(taken.map(({ device, flags }) => [device, flags & FLAG_TRIMMED]))).toEqual({ 'p-7': FLAG_TRIMMED, 'p-70': 0 })
    expect(meters.of('picket_messages_dropped_total', 'ingest', 'cardinality')).toBe(1)
  })

  it('that names a device its publisher may not be is a dead letter, counted, acknowledged and not taken', async () => {
    const { clock, cluster, meters } = await started(gateway)
    const ack = source.send('gateway/leeds', '[{"id":"p-7","n":1},{"id":"p-8","n":1}]', { account: onlyP7 })
    await clock.advance(0)
    await ack
    expect([messagesIn(cluster, 0), messagesIn(cluster, 1)]).toEqual([[], []])
    expect(deadLettersIn(cluster)).toMatchObject([{ reason: 'identity', text: 'payload names device "p-8", which "p-7" may not speak for, expected itself' }])
    expect(meters.of('picket_dead_letters_total', 'identity')).toBe(1)
  })

  it('is taken where its publisher may be all it names', async () => {
    const { clock, cluster } = await started(gateway)
    void source.send('gateway/leeds', '{"id":"p-7","n":1}', { account: onlyP7 })
    await clock.advance(0)
    expect(messagesIn(cluster, HOME)).toMatchObject([{ device: 'p-7', metrics: { n: 1 } }])
  })
})

describe('too much', () => {
  const small = { ...slow, limits: { queue: { messages: 2, bytes: 1e6 } } }

  it('drops QoS 0 and counts it', async () => {
    const { clock, cluster, meters, source } = await started(small)
    const acks = [0, 1, 2].map((n) => source.send(PUMP, `{"n":${n}}`, { qos: 0 }))
    await acks[2]
    await clock.advance(100)
    expect(messagesIn(cluster, HOME).map(({ metrics }) => metrics['n'])).toEqual([0, 1])
    expect(meters.of('picket_messages_dropped_total', 'ingest', 'overload')).toBe(1)
  })

  it('lets QoS 1 wait, in order', async () => {
    const { clock, cluster, meters, source } = await started({ ...small, limits: { queue: { messages: 3, bytes: 1e6 } } })
    const acks = [0, 1, 2, 3, 4].map((n) => source.send(PUMP, `{"n":${n}}`))
    await clock.advance(5)
    expect(messagesIn(cluster, HOME)).toHaveLength(3)
    await clock.advance(100)
    await Promise.all(acks)
    expect(messagesIn(cluster, HOME).map(({ metrics }) => metrics['n'])).toEqual([0, 1, 2, 3, 4])
    expect(meters.of('picket_messages_sent_total', 'ingest')).toBe(5)
  })

  it('is counted in samples, which give their places back', async () => {
    const { clock, meters, source } = await started({ ...slow, limits: { queue: { messages: 2, bytes: 1e6 } } })
    const three = () => source.send(PUMP, '[{"n":1},{"n":2},{"n":3}]', { qos: 0 })
    void three()
    await three()
    expect(meters.of('picket_messages_dropped_total', 'ingest', 'overload')).toBe(1)
    await clock.advance(100)
    void three()
    await clock.advance(100)
    expect(meters.of('picket_messages_sent_total', 'ingest')).toBe(2)
  })

  it('is counted in bytes too', async () => {
    const { clock, meters, source } = await started({ ...slow, limits: { queue: { messages: 100, bytes: 10 } } })
    void source.send(PUMP, '{"n":1234567}', { qos: 0 })
    await source.send(PUMP, '{"n":2}', { qos: 0 })
    await clock.advance(100)
    expect(meters.of('picket_messages_dropped_total', 'ingest', 'overload')).toBe(1)
  })

  it('refuses what would wait beyond the bound', async () => {
    const { clock, source } = await started(small)
    const acks = [0, 1, 2, 3].map((n) => source.send(PUMP, `{"n":${n}}`))
    await expect(source.send(PUMP, '{"n":4}')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await clock.advance(200)
    await Promise.all(acks)
  })

  it('of metrics of one device is left out, flagged and counted', async () => {
    const { clock, cluster, meters, source } = await started({ limits: { metricsPerDevice: 2 } })
    void source.send(PUMP, '{"a":1}')
    void source.send(PUMP, '{"b":1,"c":1,"a":2,"d":1}')
    void source.send('telemetry/pump/p-70', '{"c":1}')
    await clock.advance(0)
    expect(messagesIn(cluster, HOME).filter(({ device }) => device === 'p-7').map(({ metrics, flags }) => [metrics, flags & FLAG_TRIMMED])).toEqual([
      [{ a: 1 }, 0], [{ b: 1, a: 2 }, FLAG_TRIMMED],
    ])
    expect(meters.of('picket_messages_dropped_total', 'ingest', 'cardinality')).toBe(2)
  })

  it('of metrics is so no more when others were not seen for as long as rows are kept', async () => {
    const { clock, cluster, source } = await started({ limits: { metricsPerDevice: 1 } })
    const send = (metric: string, days: number) => source.send(PUMP, `{"${metric}":1}`, { arrival: 1_700_000_000_000 + days * SETTINGS.expireMs })
    for (const [metric, days] of [['old', 0], ['new', 0.9], ['new', 1.1], ['old', 1.1]] as const) void send(metric, days)
    await clock.advance(0)
    expect(messagesIn(cluster, HOME).map(({ metrics }) => Object.keys(metrics))).toEqual([['old'], [], ['new'], []])
  })

  it('of devices forgets the metrics of the one unseen for longest', async () => {
    const { clock, cluster, source } = await started({ limits: { metricsPerDevice: 1, knownDevices: 2 } })
    for (const device of ['a', 'b', 'a', 'c']) void source.send(`telemetry/pump/${device}`, '{"first":1}')
    for (const device of ['a', 'b']) void source.send(`telemetry/pump/${device}`, '{"second":1}')
    await clock.advance(0)
    const trimmed = [0, 1].flatMap((partition) => messagesIn(cluster, partition)).filter(({ flags }) => flags & FLAG_TRIMMED)
    expect(trimmed.map(({ device }) => device)).toEqual(['a'])
  })
})

describe('stopping', () => {
  it('resolves after all that was taken in is durable', async () => {
    const { clock, ingest, source } = await started(slow)
    const ack = source.send(PUMP, '{"n":0}')
    const stop = ingest.stop()
    await clock.advance(10)
    expect([source.stopped, await isPending(stop)]).toEqual([true, true])
    await clock.advance(20)
    await Promise.all([stop, ack])
    expect(ingest.readiness().ready).toBe(false)
  })
})
