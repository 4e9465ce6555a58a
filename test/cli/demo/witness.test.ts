/** The witness of a demonstration: what changed is told once, causes before effects. */
import { describe, expect, it } from 'vitest'
import { tell, type Happening } from '../../../src/cli/demo/happening.ts'
import { Witness } from '../../../src/cli/demo/witness.ts'
import type { Incident } from '../../../src/core/incident.ts'
import { incident } from './rig.ts'

const BEGAN = 1_700_000_000_000

/** `shown`: what the API lists, newest first. */
function witness() {
  const told: Happening[] = []
  const at = { ms: 50_000 }
  const shown: { incidents: Incident[] } = { incidents: [] }
  const one = new Witness({
    api: {
      async *list<T>() {
        yield* shown.incidents as unknown as T[]
      },
    },
    elapsed: () => at.ms,
    now: () => BEGAN + at.ms,
  })
  const look = async () => void told.push(...(await one.look()))
  const hear = (topic: string, message: unknown) => one.receive(topic, Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)))
  return { look, told, at, shown, hear, words: () => told.map((happening) => `${happening.device} ${tell(happening).word}`) }
}

const COMMAND = { v: 1, id: 'c1', kind: 'quarantine', ttl: 12, reason: 'odd' }

describe('incidents', () => {
  it('are told when they open, become worse and close, each once', async () => {
    const { look, shown, words } = witness()
    for (const fields of [
      { revision: 1, severity: 'minor' },
      { revision: 1, severity: 'minor' },
      { revision: 2, severity: 'critical' },
      { revision: 3, severity: 'minor' },
      { revision: 4, severity: 'minor', state: 'closed', closedBy: 'calm' },
    ] as const) {
      shown.incidents = [incident(fields)]
      await look()
    }
    expect(words()).toEqual(['pump-01 minor', 'pump-01 ↑ critical', 'pump-01 closed'])
  })

  it('that opened and closed between two looks are told as both', async () => {
    const { look, shown, words } = witness()
    shown.incidents = [incident({ revision: 2, state: 'closed' })]
    await look()
    expect(words()).toEqual(['pump-01 minor', 'pump-01 closed'])
  })

  it('are told in the order they changed, with the time of the reading that changed them', async () => {
    const { look, shown, told, at } = witness()
    await look()
    at.ms = 50_250
    shown.incidents = [incident({ id: 'b', updatedAt: BEGAN + 50_200 }), incident({ id: 'a', updatedAt: BEGAN + 50_100 })]
    await look()
    expect(told.map((happening) => happening.at)).toEqual([50_100, 50_200])
  })

  it('whose device has a wrong clock are told at the time between two looks', async () => {
    const { look, shown, told, at } = witness()
    await look()
    at.ms = 50_250
    shown.incidents = [incident({ id: 'late', updatedAt: BEGAN }), incident({ id: 'early', updatedAt: BEGAN + 99_000 })]
    await look()
    expect(told.map((happening) => happening.at)).toEqual([50_000, 50_250])
  })
})

describe('commands and answers', () => {
  it('are told after the incident of an earlier reading', async () => {
    const { look, shown, hear, at, words } = witness()
    await look()
    at.ms = 50_100
    hear('picket/pump-01/command', COMMAND)
    at.ms = 50_250
    shown.incidents = [incident({ updatedAt: BEGAN + 50_090 })]
    await look()
    expect(words()).toEqual(['pump-01 minor', 'pump-01 QUARANTINE'])
  })

  it('are told after the incidents that were there when they came', async () => {
    const { look, shown, hear, words } = witness()
    hear('picket/pump-01/command', COMMAND)
    hear('picket/pump-01/ack', { v: 1, id: 'c1', status: 'done', reason: '' })
    shown.incidents = [incident()]
    await look()
    expect(words()).toEqual(['pump-01 minor', 'pump-01 QUARANTINE', 'pump-01 ack'])
  })

  it('are told once, however often they are sent', async () => {
    const { look, hear, words } = witness()
    for (let i = 0; i < 3; i++) {
      hear('picket/pump-01/command', COMMAND)
      hear('picket/pump-01/ack', { v: 1, id: 'c1', status: 'accepted' })
      hear('picket/pump-01/ack', { v: 1, id: 'c1', status: 'done' })
      await look()
    }
    expect(words()).toEqual(['pump-01 QUARANTINE', 'pump-01 ack', 'pump-01 ack'])
  })

  it('say which device, by a name that had to be encoded too', async () => {
    const { look, hear, told } = witness()
    hear('picket/hall%2F1/command', COMMAND)
    await look()
    expect(told).toEqual([{ kind: 'command', at: 50_000, device: 'hall/1', command: 'quarantine', ttl: 12, reason: 'odd' }])
  })

  it.each([
    ['picket/pump-01/command', 'no json'],
    ['picket/pump-01/command', 'null'],
    ['picket/pump-01/command', { id: 7, kind: 'quarantine' }],
    ['picket/pump-01/command', { id: 'c1', kind: 'dance' }],
    ['picket/pump-01/ack', { id: 'unknown', status: 'done' }],
    ['picket/pump-01/desired', COMMAND],
    ['elsewhere', COMMAND],
  ])('that are none are left alone: %s %j', async (topic, message) => {
    const { look, hear, told } = witness()
    hear(topic, message)
    await look()
    expect(told).toEqual([])
  })
})
