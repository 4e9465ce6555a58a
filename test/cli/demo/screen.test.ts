/** The three screens of a demonstration: lines, objects, and the live one. */
import { describe, expect, it } from 'vitest'
import { elapsed, type Happening } from '../../../src/cli/demo/happening.ts'
import { liveScreen } from '../../../src/cli/demo/live-screen.ts'
import { jsonScreen, lineOf, plainScreen, type Screen, type Status } from '../../../src/cli/demo/screen.ts'
import { Verdict } from '../../../src/cli/demo/verdict.ts'
import { course, found, truth } from './rig.ts'

const PLACE = { seed: 42, mqtt: 'mqtt://127.0.0.1:1883', http: 'http://127.0.0.1:8080', faultsFrom: 40_000 }
const FAULT: Happening = { kind: 'fault', at: 40_000, device: 'pump-01', truth: truth('pump-01', 'bearing') }
const SHOWN: readonly Happening[] = [FAULT, found(45_100, { severity: 'critical' }), ...course('pump-01', 45_200)]

function status(fields: Partial<Status> = {}): Status {
  const device = (id: string, state: Status['devices'][number]['state']) => ({ id, class: id.replace(/-.*/, ''), state, learning: state === 'learning' ? 0.5 : 1 })
  return { elapsed: 46_000, devices: [device('pump-01', 'quarantined'), device('pump-02', 'normal'), device('wearable-01', 'odd')], messagesPerSecond: 239.6, dropped: 0, ...fields }
}

function written(make: (out: { write(text: string): void; isTerminal: boolean; size: () => { columns: number; rows: number } }) => Screen, size = { columns: 100, rows: 30 }) {
  const texts: string[] = []
  const screen = make({ write: (text) => void texts.push(text), isTerminal: true, size: () => size })
  return { screen, texts, text: () => texts.join('') }
}

/** What a person sees of a frame. */
const plain = (text: string) => text.replace(/\x1b\[[?0-9;]*[A-Za-z]/g, '').split('\r\n')

describe('time', () => {
  it('is minutes, seconds and tenths', () => {
    expect([0, 9_950, 41_249, 60_000, 725_000].map(elapsed)).toEqual(['0:00.0', '0:09.9', '0:41.2', '1:00.0', '12:05.0'])
  })
})

describe('a line', () => {
  it('says when, what, which device and why', () => {
    expect(SHOWN.map(lineOf)).toEqual([
      ' 0:40.0  fault       pump-01      begins: a bearing wears',
      ' 0:45.1  critical    pump-01      telemetry: vibration is 4 mm/s, expected 1 to 3',
      ' 0:45.2  QUARANTINE  pump-01      for 12 s: odd',
      ' 0:45.2  ack         pump-01      the device says: quarantine accepted',
      ' 0:45.2  ack         pump-01      the device says: quarantine done',
      ' 0:57.2  RELEASE     pump-01      the lease has ended',
      ' 0:57.2  ack         pump-01      the device says: release done',
    ])
  })

  it('lets nothing of a device steer the terminal', () => {
    expect(lineOf(found(1, { summary: '\x1b[2Jgone' }))).not.toContain('\x1b')
  })
})

describe('the plain screen', () => {
  it('begins with the seed and how to see it again, and where Picket is', () => {
    const { screen, text } = written(plainScreen)
    screen.begin(PLACE)
    expect(text()).toContain('seed 42; npm run demo -- --seed 42 shows the same again\n')
    expect(text()).toContain('mqtt://127.0.0.1:1883, API at http://127.0.0.1:8080/api/v1/incidents')
    expect(text()).not.toContain('\x1b')
  })

  it('leaves out that a device has understood a command', () => {
    const { screen, text } = written(plainScreen)
    for (const happening of SHOWN) screen.show(happening)
    expect(text().match(/quarantine (?:accepted|done)/g)).toEqual(['quarantine done'])
  })

  it('says once when all has been learnt', () => {
    const { screen, text } = written(plainScreen)
    screen.stand(status({ devices: [] }))
    screen.stand(status({ devices: [{ id: 'a', class: 'pump', state: 'learning', learning: 0.3 }] }))
    expect(text()).toBe('')
    screen.stand(status())
    screen.stand(status())
    expect(text()).toBe(' 0:46.0  3 devices have been learnt, 240 messages a second\n')
  })
})

describe('the JSON screen', () => {
  it('writes one object a line, the verdict last', () => {
    const { screen, text } = written(jsonScreen)
    screen.begin(PLACE)
    for (const happening of SHOWN) screen.show(happening)
    screen.stand(status())
    screen.end(new Verdict([]))
    const lines = text().trimEnd().split('\n').map((line) => JSON.parse(line) as { kind: string })
    expect(lines.map(({ kind }) => kind)).toEqual(['begin', 'fault', 'incident', 'command', 'ack', 'ack', 'command', 'ack', 'end'])
    expect(lines[0]).toEqual({ kind: 'begin', ...PLACE })
  })
})

describe('the live screen', () => {
  function frame(size?: { columns: number; rows: number }, shown = SHOWN) {
    const { screen, texts } = written(liveScreen, size)
    screen.begin(PLACE)
    for (const happening of shown) screen.show(happening)
    screen.stand(status())
    return plain(texts.at(-1)!)
  }

  it('shows seed, time, rate and open incidents in its first line', () => {
    expect(frame()[0]).toBe('picket demo  seed 42  0:46.0  240 messages/s  open incidents: 1')
  })

  it('shows how far learning is before the first fault', () => {
    const { screen, texts } = written(liveScreen, { columns: 80, rows: 24 })
    screen.begin({ ...PLACE, seed: 999_999 })
    screen.stand(status({ elapsed: 20_000, devices: [{ id: 'a', class: 'pump', state: 'learning', learning: 0.639 }] }))
    expect(plain(texts.at(-1)!)[0]).toMatch(/learning 63 %, faults at 0:40$/)
  })

  it('shows a sign a device, a line a class, and what the signs mean', () => {
    const lines = frame()
    expect(lines[3]).toBe('pump      ■ ● ')
    expect(lines[4]).toBe('wearable  ▲ ')
    expect(lines[6]).toBe('· learning 0   ● normal 1   ▲ odd 1   ○ silent 0   ■ quarantined 1   ')
  })

  it('shows what happened, the newest last, and no more than fits', () => {
    expect(frame({ columns: 100, rows: 12 }).slice(8)).toEqual([
      ' 0:45.2  ack         pump-01      the device says: quarantine done',
      ' 0:57.2  RELEASE     pump-01      the lease has ended',
      ' 0:57.2  ack         pump-01      the device says: release done',
    ])
  })

  it('breaks no line of a narrow terminal', () => {
    for (const line of frame({ columns: 40, rows: 24 })) expect(line.length).toBeLessThanOrEqual(40)
  })

  it('leaves the terminal as it was, with all that happened and the verdict', () => {
    const { screen, text } = written(liveScreen)
    screen.begin(PLACE)
    for (const happening of SHOWN) screen.show(happening)
    screen.end(new Verdict([truth('pump-01', 'bearing')]))
    const [, after] = text().split('\x1b[?1049l')
    expect(text().startsWith('\x1b[?1049h\x1b[?25l')).toBe(true)
    expect(text()).toContain('\x1b[?25h\x1b[?1049l')
    expect(after).toContain('seed 42\n 0:40.0  fault')
    expect(after).toContain('healthy devices quarantined: 0')
  })
})
