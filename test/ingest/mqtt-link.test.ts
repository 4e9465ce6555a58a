/** When a lost connection is opened again: the pauses, and that a leader makes sure of its lead first. */
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/core/errors.ts'
import type { Connection } from '../../src/ingest/mqtt-connection.ts'
import { Link } from '../../src/ingest/mqtt-link.ts'
import { MqttTrouble } from '../../src/ingest/mqtt-trouble.ts'
import type { Lead } from '../../src/ingest/source.ts'
import { ManualClock } from '../clock.ts'
import { keepingLogger } from './lab.ts'

const LOST = new MqttTrouble({ reason: 'lost', text: 'the broker closed the connection' })

/** A connection that the test accepts, refuses and ends. */
class HandConnection implements Connection {
  accept: () => void = () => undefined
  lose: (trouble?: MqttTrouble) => void = () => undefined
  readonly over: Promise<MqttTrouble | null>
  readonly accepted: Promise<{ sessionPresent: boolean }>
  hasEnded = false

  constructor() {
    let end: (trouble: MqttTrouble | null) => void = () => undefined
    this.over = new Promise((resolve) => (end = resolve))
    this.lose = (trouble = LOST) => end(trouble)
    this.end = async () => {
      this.hasEnded = true
      end(null)
    }
    this.accepted = new Promise((resolve, reject) => {
      this.accept = () => resolve({ sessionPresent: true })
      void this.over.then((trouble) => reject(trouble ?? LOST))
    })
    this.accepted.catch(() => undefined)
  }

  end: () => Promise<void>
  subscribe = async () => undefined
  publish = async () => undefined
  hold = () => undefined
  underWay = () => 0
}

function makeLink({ fraction = () => 1 - Number.EPSILON, lead = null as Lead | null } = {}) {
  const clock = new ManualClock()
  const { logger, lines } = keepingLogger()
  const connections: HandConnection[] = []
  const openedAt: number[] = []
  const changes: boolean[] = []
  const link = new Link({
    clock, logger, random: { id: () => '', fraction }, what: 'source field', address: 'mqtt://broker:1883', asking: { username: null, clientId: 'c' },
    reconnect: { firstMs: 100, mostMs: 1_000 },
    open: async () => {
      openedAt.push(clock.monotonic())
      const connection = new HandConnection()
      connections.push(connection)
      return connection
    },
    prepare: async () => undefined,
    changed: (isUp) => changes.push(isUp),
    failed: () => undefined,
  })
  const stop = new AbortController()
  const started = clock.monotonic()
  const left: HandConnection[] = []
  const ended = link.run(stop.signal, lead, async (connection) => void left.push(connection as HandConnection))
  return { clock, link, lines, connections, changes, stop, ended, left, openedAt: () => openedAt.map((at) => Math.round(at - started)) }
}

/** A term whose confirmations the test gives. */
function handLead() {
  const asked: { resolve: () => void; reject: (error: unknown) => void }[] = []
  const lead: Lead = { signal: new AbortController().signal, confirmed: () => new Promise((resolve, reject) => void asked.push({ resolve, reject })) }
  return { lead, asked }
}

/** Fails every connection as it is opened, for so long. */
async function failing({ clock, connections }: ReturnType<typeof makeLink>, ms: number): Promise<void> {
  for (let waited = 0; waited < ms; waited += 10) {
    connections.at(-1)?.lose()
    await clock.advance(10)
  }
}

describe('a connection that fails', () => {
  it('is opened again after pauses that double, up to the most', async () => {
    const lab = makeLink()
    await lab.clock.advance(0)
    await failing(lab, 4_000)
    const at = lab.openedAt()
    const pauses = at.slice(1).map((time, i) => time - at[i]!)
    for (const [i, pause] of [100, 200, 400, 800, 1_000, 1_000].entries()) expect(pauses[i]).toBeGreaterThanOrEqual(pause)
    for (const [i, pause] of [100, 200, 400, 800, 1_000, 1_000].entries()) expect(pauses[i]).toBeLessThan(pause + 30)
  })

  it('waits as little as half the pause: not all come back at one moment', async () => {
    const lab = makeLink({ fraction: () => 0 })
    await lab.clock.advance(0)
    lab.connections[0]!.lose()
    await lab.clock.advance(49)
    expect(lab.connections).toHaveLength(1)
    await lab.clock.advance(2)
    expect(lab.connections).toHaveLength(2)
  })

  it('begins with the first pause again after one that lasted', async () => {
    const lab = makeLink()
    await lab.clock.advance(0)
    await failing(lab, 4_000)
    await lab.clock.advance(2_000)
    lab.connections.at(-1)!.accept()
    await lab.clock.advance(20_000)
    const before = lab.connections.length
    lab.connections.at(-1)!.lose()
    await lab.clock.advance(101)
    expect(lab.connections).toHaveLength(before + 1)
  })

  it('goes on with the longer pause after one that was soon lost', async () => {
    const lab = makeLink()
    await lab.clock.advance(0)
    for (let i = 0; i < 5; i++) {
      lab.connections.at(-1)!.accept()
      await lab.clock.advance(10)
      lab.connections.at(-1)!.lose()
      await lab.clock.advance(1_000)
    }
    lab.connections.at(-1)!.accept()
    await lab.clock.advance(10)
    lab.connections.at(-1)!.lose()
    await lab.clock.advance(900)
    expect(lab.connections).toHaveLength(6)
  })

  it('is told of once a minute, and when it is over', async () => {
    const lab = makeLink()
    await lab.clock.advance(0)
    await failing(lab, 30_000)
    await lab.clock.advance(1_000)
    lab.connections.at(-1)!.accept()
    await lab.clock.advance(10)
    expect(lab.lines.map(({ message }) => message)).toEqual(['source field: not connected, trying again', 'source field: connected again'])
    expect(lab.lines[0]!.fields).toMatchObject({ address: 'mqtt://broker:1883', reason: 'lost', error: 'the broker closed the connection' })
  })

  it('is the link’s trouble until one is up', async () => {
    const lab = makeLink()
    await lab.clock.advance(0)
    expect(lab.link.trouble).toBeNull()
    lab.connections[0]!.lose()
    await lab.clock.advance(150)
    expect(lab.link.trouble).toBe('source field: not connected to mqtt://broker:1883: the broker closed the connection')
    lab.connections[1]!.accept()
    await lab.clock.advance(1)
    expect(lab.link).toMatchObject({ trouble: null, connectedSince: lab.clock.now() - 1 })
    expect(lab.changes).toEqual([true])
  })
})

describe('a leader', () => {
  it('opens its first connection at once', async () => {
    const { lead, asked } = handLead()
    const lab = makeLink({ lead })
    await lab.clock.advance(0)
    expect(lab.connections).toHaveLength(1)
    expect(asked).toHaveLength(0)
  })

  it('opens no second one before it is confirmed, asked after the first was closed', async () => {
    const { lead, asked } = handLead()
    const lab = makeLink({ lead })
    await lab.clock.advance(0)
    lab.connections[0]!.accept()
    await lab.clock.advance(5_000)
    expect(asked).toHaveLength(0)
    lab.connections[0]!.lose()
    await lab.clock.advance(60_000)
    expect(asked).toHaveLength(1)
    expect(lab.connections).toHaveLength(1)
    asked[0]!.resolve()
    await lab.clock.advance(0)
    expect(lab.connections).toHaveLength(2)
  })

  it('opens none at all when it leads no longer', async () => {
    const { lead, asked } = handLead()
    const lab = makeLink({ lead })
    await lab.clock.advance(0)
    lab.connections[0]!.lose()
    await lab.clock.advance(200)
    asked[0]!.reject(new PipelineError('FENCED', 'another leads'))
    await lab.clock.advance(60_000)
    await lab.ended
    expect(lab.connections).toHaveLength(1)
  })
})

describe('a stop', () => {
  it('leaves the connection, then ends it', async () => {
    const lab = makeLink()
    await lab.clock.advance(0)
    lab.connections[0]!.accept()
    await lab.clock.advance(1)
    lab.stop.abort()
    await lab.ended
    expect(lab.left).toEqual([lab.connections[0]])
    expect(lab.connections[0]!.hasEnded).toBe(true)
    expect(lab.link.connectedSince).toBeNull()
  })

  it.each(['before it is accepted', 'in a pause'])('%s ends the link too', async (when) => {
    const lab = makeLink()
    await lab.clock.advance(0)
    if (when === 'in a pause') lab.connections[0]!.lose()
    await lab.clock.advance(10)
    lab.stop.abort()
    await lab.ended
    expect(lab.connections).toHaveLength(1)
    expect(lab.connections[0]!.hasEnded).toBe(true)
  })
})

describe('who waits for the connection', () => {
  it('has it once it is up', async () => {
    const lab = makeLink()
    const waiting = lab.link.up(5_000)
    await lab.clock.advance(100)
    lab.connections[0]!.accept()
    await lab.clock.advance(0)
    expect(await waiting).toBe(lab.connections[0])
  })

  it('gives up once it has been down for so long, and whoever comes later at once', async () => {
    const lab = makeLink()
    const waiting = lab.link.up(5_000)
    await lab.clock.advance(5_001)
    expect(await waiting).toBeNull()
    expect(await lab.link.up(5_000)).toBeNull()
  })
})
