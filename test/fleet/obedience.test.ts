/** The simulated device's side of the device contract (docs/device.md, "What a device must do"). */
import { describe, expect, it } from 'vitest'
import { Obedience } from '../../src/fleet/obedience.ts'
import { ManualClock } from '../clock.ts'

const COMMAND = 'picket/pump-7/command'
const DESIRED = 'picket/pump-7/desired'

function device() {
  const clock = new ManualClock()
  const answers: { topic: string; id: string; generation: number; status: string; reason: string }[] = []
  const changes: boolean[] = []
  const obedience = new Obedience({
    device: 'pump-7',
    clock,
    answer: (topic, payload) => void answers.push({ topic, ...(JSON.parse(payload) as { id: string; generation: number; status: string; reason: string }) }),
    onQuarantine: (isQuarantined) => void changes.push(isQuarantined),
  })
  const receive = (topic: string, message: unknown) => obedience.receive(topic, Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)))
  return { clock, answers, changes, obedience, receive, statuses: () => answers.map(({ status }) => status) }
}

const command = (fields: Readonly<Record<string, unknown>> = {}) => ({
  v: 1, id: 'c1', generation: 100, kind: 'quarantine', device: 'pump-7', reason: 'odd', ttl: 12, ...fields,
})

describe('a simulated device', () => {
  it('listens to its desired state first, then to commands', () => {
    expect(device().obedience.topics).toEqual([DESIRED, COMMAND])
  })

  it('accepts a quarantine, carries it out and says so', () => {
    const { receive, answers, obedience } = device()
    receive(COMMAND, command())
    expect(obedience.isQuarantined).toBe(true)
    expect(answers).toEqual([
      { topic: 'picket/pump-7/ack', v: 1, id: 'c1', generation: 100, status: 'accepted', reason: '' },
      { topic: 'picket/pump-7/ack', v: 1, id: 'c1', generation: 100, status: 'done', reason: '' },
    ])
  })

  it('is released by a newer command', () => {
    const { receive, changes, statuses } = device()
    receive(COMMAND, command())
    receive(COMMAND, command({ id: 'c2', generation: 101, kind: 'release' }))
    expect(changes).toEqual([true, false])
    expect(statuses()).toEqual(['accepted', 'done', 'accepted', 'done'])
  })

  it('ends its quarantine by itself after the ttl', async () => {
    const { receive, clock, obedience } = device()
    receive(COMMAND, command({ ttl: 12 }))
    await clock.advance(11_900)
    expect(obedience.isQuarantined).toBe(true)
    await clock.advance(200)
    expect(obedience.isQuarantined).toBe(false)
  })

  it('answers a repeat as it answered the first, and does nothing', () => {
    const { receive, changes, statuses } = device()
    receive(COMMAND, command())
    receive(COMMAND, command({ id: 'c2', generation: 101, kind: 'release' }))
    receive(COMMAND, command())
    expect(changes).toEqual([true, false])
    expect(statuses().at(-1)).toBe('done')
  })

  it.each([
    ['for another device', { device: 'pump-8' }, 'for pump-8, not for pump-7'],
    ['of an unknown kind', { kind: 'dance' }, 'unknown kind dance'],
    ['that has expired', { ttl: 0 }, 'expired'],
  ])('rejects a command %s, with the reason', (_name, fields, reason) => {
    const { receive, answers, obedience } = device()
    receive(COMMAND, command(fields))
    expect(answers.map((answer) => [answer.status, answer.reason])).toEqual([['rejected', reason]])
    expect(obedience.isQuarantined).toBe(false)
  })

  it('rejects what is not newer than what it obeyed', () => {
    const { receive, statuses } = device()
    receive(COMMAND, command())
    receive(COMMAND, command({ id: 'c0', generation: 99, kind: 'release' }))
    expect(statuses()).toEqual(['accepted', 'done', 'rejected'])
  })

  it('obeys a desired state without an answer, and calls the command that goes with it done', async () => {
    const { receive, obedience, changes, statuses, clock } = device()
    receive(DESIRED, { v: 1, state: 'quarantined', generation: 100, until: 1, reason: 'odd' })
    expect([obedience.isQuarantined, statuses()]).toEqual([true, []])
    receive(COMMAND, command({ ttl: 12 }))
    expect(changes).toEqual([true])
    expect(statuses()).toEqual(['accepted', 'done'])
    await clock.advance(12_000)
    expect(obedience.isQuarantined).toBe(false)
  })

  it('takes no older desired state', () => {
    const { receive, obedience } = device()
    receive(COMMAND, command())
    receive(DESIRED, { v: 1, state: 'normal', generation: 99 })
    expect(obedience.isQuarantined).toBe(true)
  })

  it.each(['', 'no json', 'null', '[]', '{"v":2,"generation":1}', '{"v":1}', '{"v":1,"generation":"x","id":"c1"}'])('leaves %j alone', (payload) => {
    const { receive, answers, changes } = device()
    receive(COMMAND, payload)
    receive(DESIRED, payload)
    expect([answers, changes]).toEqual([[], []])
  })

  it('remembers its last 32 answers', () => {
    const { receive, statuses } = device()
    for (let i = 0; i < 33; i++) receive(COMMAND, command({ id: `c${i}`, generation: 100 + i, kind: i % 2 === 0 ? 'quarantine' : 'release' }))
    receive(COMMAND, command({ id: 'c1', generation: 101, kind: 'release' }))
    expect(statuses().at(-1)).toBe('done')
    receive(COMMAND, command({ id: 'c0', generation: 100 }))
    expect(statuses().at(-1)).toBe('rejected')
  })

  it('lets go of its timer', () => {
    const { receive, obedience, clock } = device()
    receive(COMMAND, command())
    obedience.close()
    expect(clock.pending).toBe(0)
  })
})
