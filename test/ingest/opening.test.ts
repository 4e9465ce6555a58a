/** Before and between the messages: the first config records, the incarnation, ticks. */
import { describe, expect, it } from 'vitest'
import { decodeControl, encodeControl } from '../../src/log/control.ts'
import { isFrame } from '../../src/log/frame.ts'
import { controlsIn, framesIn, makeLab, SETTINGS } from './lab.ts'
import { APPEND_MOST } from '../../src/log/log.ts'

type Lab = ReturnType<typeof makeLab>

async function start({ ingest, clock }: Lab): Promise<void> {
  const started = ingest.start()
  await clock.advance(50)
  await started
}

/** Puts records that are neither frame nor control, or a tick, into a partition. */
async function fill({ log, clock }: Lab, partition: number, count: number, incarnation?: string): Promise<void> {
  const value = incarnation === undefined ? Buffer.from('no control record') : tick(incarnation)
  for (let left = count; left > 0; left -= APPEND_MOST) {
    const records = Array.from({ length: Math.min(left, APPEND_MOST) }, () => ({ key: '', value }))
    const appended = log.append('readings', partition, records)
    await clock.advance(1)
    await (await appended).flushed
  }
}

function tick(incarnation: string): Buffer {
  return encodeControl({ id: 't', incarnation, at: 1, body: { kind: 'tick', writer: 'w', sources: [] } })
}

const tickIncarnation = (lab: Lab, partition: number) => controlsIn(lab.cluster, partition).filter(({ body }) => body.kind === 'tick').at(-1)?.incarnation

describe('an empty partition', () => {
  it('gets config version 1 as its first record, of one fresh incarnation for all', async () => {
    const lab = makeLab()
    await start(lab)
    for (const partition of [0, 1]) {
      const [config] = controlsIn(lab.cluster, partition)
      expect(config).toMatchObject({ incarnation: 'random-1', at: 1_700_000_000_000, body: { kind: 'config', version: 1, hash: 'hash-1', settings: SETTINGS } })
    }
  })

  it('takes over the incarnation another has', async () => {
    const lab = makeLab()
    await fill(lab, 1, 1, 'first')
    await start(lab)
    expect(controlsIn(lab.cluster, 0)[0]).toMatchObject({ incarnation: 'first', body: { kind: 'config', version: 1 } })
  })
})

describe('a partition with records', () => {
  it('gets no config, and ticks of the incarnation its oldest control record has', async () => {
    const lab = makeLab()
    await fill(lab, 0, 3)
    await fill(lab, 0, 1, 'first')
    await fill(lab, 0, 1, 'of a process that found it empty too')
    await fill(lab, 0, 700)
    await start(lab)
    await lab.clock.advance(1000)
    expect(controlsIn(lab.cluster, 0).map(({ body }) => body.kind)).toEqual(['tick', 'tick', 'tick'])
    expect(tickIncarnation(lab, 0)).toBe('first')
  })

  it('is searched from its newest record where the oldest are no control records', async () => {
    const lab = makeLab()
    await fill(lab, 0, 5 * 256)
    await fill(lab, 0, 1, 'first')
    await start(lab)
    await lab.clock.advance(1000)
    expect(tickIncarnation(lab, 0)).toBe('first')
  })

  it('is searched from its oldest record where no newer one tells', async () => {
    const lab = makeLab()
    await fill(lab, 0, 1, 'first')
    await fill(lab, 0, 64 * 256 + 10)
    await start(lab)
    await lab.clock.advance(1000)
    expect(tickIncarnation(lab, 0)).toBe('first')
  })

  it('is told by the next control record where the oldest is damaged', async () => {
    const lab = makeLab()
    const appended = lab.log.append('readings', 0, [{ key: '', value: tick('damaged').subarray(0, 20) }])
    await lab.clock.advance(1)
    await (await appended).flushed
    await fill(lab, 0, 1, 'first')
    await start(lab)
    await lab.clock.advance(1000)
    const newest = lab.cluster.dump('readings', 0).at(-1)!
    expect(decodeControl(newest.value!)).toMatchObject({ incarnation: 'first', body: { writer: 'ingest-1' } })
  })

  it('that nobody can tell the incarnation of stops the start', async () => {
    const lab = makeLab()
    await fill(lab, 0, 3)
    const started = expect(lab.ingest.start()).rejects.toMatchObject({ code: 'BAD_RECORD', message: expect.stringContaining('readings/0') as string })
    await lab.clock.advance(50)
    await started
  })
})

describe('a tick', () => {
  it('comes once a second in every partition, with the sources', async () => {
    const lab = makeLab()
    await start(lab)
    await lab.clock.advance(3000)
    for (const partition of [0, 1]) {
      const ticks = controlsIn(lab.cluster, partition).filter(({ body }) => body.kind === 'tick')
      expect(ticks).toHaveLength(3)
      expect(ticks[0]).toMatchObject({ incarnation: 'random-1', body: { writer: 'ingest-1', sources: [{ name: 'field', connectedSince: 1, backlog: false }] } })
      expect(new Set(ticks.map(({ id }) => id)).size).toBe(3)
    }
  })

  it('stands behind what was received before it, also where that still waits', async () => {
    const lab = makeLab({
      cluster: { faults: { latency: ({ kind }) => (kind === 'flush' ? 20 : 0) } },
      limits: { inFlight: { records: 1, bytes: 1e9 } },
    })
    await start(lab)
    await lab.clock.advance(955)
    for (const device of ['a', 'b', 'c', 'd']) void lab.source.send(`telemetry/pump/${device}`, '{"n":1}')
    await lab.clock.advance(10)
    for (const device of ['a', 'b', 'c', 'd']) void lab.source.send(`telemetry/pump/${device}`, '{"n":2}')
    await lab.clock.advance(200)
    for (const partition of [0, 1]) {
      expect(framesIn(lab.cluster, partition)).toHaveLength(2)
      expect(lab.cluster.dump('readings', partition).map(({ value }) => isFrame(value!))).toEqual([false, true, true, false])
    }
  })

  it('is left out, and counted, while the last one is not yet durable', async () => {
    const lab = makeLab({ cluster: { faults: { latency: ({ kind, process }) => (kind === 'flush' && process === 'ingest' && stalled ? 2500 : 0) } } })
    let stalled = false
    await start(lab)
    stalled = true
    await lab.clock.advance(3000)
    expect(controlsIn(lab.cluster, 0).filter(({ body }) => body.kind === 'tick')).toHaveLength(1)
    expect(lab.meters.of('picket_messages_dropped_total', 'ingest', 'tick')).toBe(4)
  })

  it('tells of a backlog when messages had to wait, or were dropped, since the one before', async () => {
    const lab = makeLab({
      cluster: { faults: { latency: ({ kind }) => (kind === 'flush' ? 20 : 0) } },
      limits: { queue: { messages: 1, bytes: 1e6 } },
    })
    await start(lab)
    await lab.clock.advance(500)
    for (const n of [1, 2]) void lab.source.send('telemetry/pump/a', `{"n":${n}}`, { qos: 0 })
    await lab.clock.advance(2_500)
    const ticks = controlsIn(lab.cluster, 0).flatMap(({ body }) => (body.kind === 'tick' ? body.sources.map(({ backlog }) => backlog) : []))
    expect(ticks.slice(0, 2)).toEqual([true, false])
  })

  it('comes no more after stop', async () => {
    const lab = makeLab()
    await start(lab)
    await lab.ingest.stop()
    await lab.clock.advance(5000)
    expect(controlsIn(lab.cluster, 0)).toHaveLength(1)
  })
})
