/** A fleet under way, over links in memory and a clock moved by hand. */
import { describe, expect, it } from 'vitest'
import { drawFleet } from '../../src/fleet/demo-fleet.ts'
import { type LinkOptions, RunningFleet } from '../../src/fleet/running-fleet.ts'
import { ManualClock } from '../clock.ts'

interface Published {
  readonly client: string
  readonly topic: string
  readonly message: Readonly<Record<string, unknown>>
  readonly at: number
}

/** `acknowledge`: what becomes of each message. */
function fleet(acknowledge: () => Promise<void> = () => Promise.resolve()) {
  const clock = new ManualClock()
  const published: Published[] = []
  const links = new Map<string, LinkOptions>()
  const ended: string[] = []
  const drawn = drawFleet(11)
  const running = new RunningFleet(drawn, {
    clock,
    async open(options) {
      links.set(options.client, options)
      return {
        publish(topic, payload) {
          published.push({ client: options.client, topic, message: JSON.parse(payload) as Published['message'], at: clock.now() })
          return acknowledge()
        },
        end: async () => void ended.push(options.client),
      }
    },
  })
  const of = (client: string) => published.filter((one) => one.client === client && one.topic.startsWith('telemetry/'))
  return { clock, published, links, ended, drawn, running, of }
}

const QUARANTINE = { v: 1, id: 'c1', generation: 5, kind: 'quarantine', device: 'pump-01', reason: 'odd', ttl: 2 }

describe('a running fleet', () => {
  it('gives each device a connection of its own that listens to its own topics', async () => {
    const { running, links, drawn } = fleet()
    await running.start()
    expect([...links.keys()].toSorted()).toEqual(drawn.devices.map(({ member }) => member.id).toSorted())
    expect(links.get('pump-01')!.topics).toEqual(['picket/pump-01/desired', 'picket/pump-01/command'])
    await running.stop()
  })

  it('sends each device under its class at its own pace, stamped by its own clock', async () => {
    const { running, clock, of } = fleet()
    await running.start()
    await clock.advance(1_000)
    const pump = of('pump-01')
    expect(pump).toHaveLength(10)
    expect(of('gateway-01')).toHaveLength(10)
    expect(pump[0]!.topic).toBe('telemetry/pump/pump-01')
    for (const { message, at } of pump) expect(Math.abs(Number(message['ts']) - at)).toBeLessThan(100)
    await running.stop()
  })

  it('stops the telemetry of a quarantined device, answers, and goes on after its release', async () => {
    const { running, clock, links, of, published } = fleet()
    await running.start()
    links.get('pump-01')!.receive('picket/pump-01/command', Buffer.from(JSON.stringify(QUARANTINE)))
    await clock.advance(1_900)
    expect(of('pump-01')).toHaveLength(0)
    expect(published.filter(({ topic }) => topic === 'picket/pump-01/ack').map(({ message }) => message['status'])).toEqual(['accepted', 'done'])
    await clock.advance(1_100)
    expect(of('pump-01').length).toBeGreaterThan(8)
    await running.stop()
  })

  it('mends a device while it is quarantined', async () => {
    const { running, clock, links, of, drawn } = fleet()
    const { device, from } = drawn.truths.find(({ kind }) => kind === 'takeover')!
    await running.start()
    await clock.advance(from + 300)
    expect(of(device).at(-1)!.message['shell']).toBe(true)
    links.get(device)!.receive(`picket/${device}/command`, Buffer.from(JSON.stringify({ ...QUARANTINE, device })))
    await clock.advance(3_000)
    expect(of(device).at(-1)!.message).not.toHaveProperty('shell')
    await running.stop()
  })

  it('counts what is acknowledged and what is not', async () => {
    const good = fleet()
    await good.running.start()
    await good.clock.advance(500)
    expect(good.running.counts.sent).toBeGreaterThan(100)
    expect(good.running.counts).toMatchObject({ acked: good.running.counts.sent, dropped: 0 })
    await good.running.stop()
    const bad = fleet(() => Promise.reject(new Error('the connection is gone')))
    await bad.running.start()
    await bad.clock.advance(500)
    expect(bad.running.counts).toMatchObject({ acked: 0, dropped: bad.running.counts.sent })
    await bad.running.stop()
  })

  it('holds no more than 64 unanswered messages a device', async () => {
    const { running, clock, of } = fleet(() => new Promise(() => undefined))
    await running.start()
    await clock.advance(10_000)
    expect(of('pump-01')).toHaveLength(64)
    expect(running.counts.dropped).toBeGreaterThan(0)
    await running.stop()
  })

  it('ends every connection and sends nothing more', async () => {
    const { running, clock, ended, drawn, published } = fleet()
    await running.start()
    await clock.advance(300)
    const before = published.length
    await running.stop()
    await clock.advance(1_000)
    expect(ended).toHaveLength(drawn.devices.length)
    expect(published).toHaveLength(before)
    expect(clock.pending).toBe(0)
  })

  it('says what kept a device from connecting', async () => {
    const running = new RunningFleet(drawFleet(1), { clock: new ManualClock(), open: () => Promise.reject(new Error('refused')) })
    await expect(running.start()).rejects.toThrow('refused')
  })
})
