/** `picket replay` against a broker in memory: what it sends, how fast, how much at a time, and how it ends. */
import { describe, expect, test } from 'vitest'
import { WINDOW } from '../../src/cli/replay-send.ts'
import { replayTopic } from '../../src/cli/replay-topic.ts'
import { ManualClock, settle } from '../clock.ts'
import { aConfig, aFile, makeLab, MemoryBroker } from './lab.ts'

const SKAB = 'datetime;Current;Pressure;mode;anomaly;changepoint\n2020-03-09 10:14:33;1.33;0.05;auto;0.0;0.0\n2020-03-09 10:14:34;1.35;;auto;1.0;0.0\n'
const FIRST = Date.UTC(2020, 2, 9, 10, 14, 33)
const DEVICE = ['--class', 'valve', '--device', 'v1']

function rows(count: number): string {
  return `timestamp,value\n${Array.from({ length: count }, (_, i) => `2020-03-09 10:${String(Math.floor(i / 60)).padStart(2, '0')}:${String(i % 60).padStart(2, '0')},${i}\n`).join('')}`
}

function replaying(csv: string, broker: MemoryBroker, options: { clock?: ManualClock; isTerminal?: boolean } = {}) {
  const lab = makeLab({ broker, ...options })
  const file = aFile('data.csv', csv)
  const config = aConfig()
  return { ...lab, replay: (...args: string[]) => lab.run('replay', file, ...DEVICE, '--config', config, ...args) }
}

/** The file is read from a real disk, which may be slow: bounded by the test's own time. */
async function untilDone(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
  await settle()
}

describe('what is sent', () => {
  test('is a JSON object a row, with its time, without label columns, null where a cell is empty', async () => {
    const broker = new MemoryBroker()
    const { code, stdout } = await replaying(SKAB, broker).replay('--speed', '0')
    expect(broker.payloads).toEqual([
      { ts: FIRST, Current: 1.33, Pressure: 0.05, mode: 'auto' },
      { ts: FIRST + 1000, Current: 1.35, Pressure: null, mode: 'auto' },
    ])
    expect(broker.messages.map(({ topic }) => topic)).toEqual(['telemetry/valve/v1', 'telemetry/valve/v1'])
    expect([code, stdout]).toEqual([0, '2 sent, 2 acked, 0.0 s, to telemetry/valve/v1\n'])
  })

  test('leaves out the columns given by --ignore instead of the labels', async () => {
    const broker = new MemoryBroker()
    await replaying(SKAB, broker).replay('--speed', '0', '--ignore', 'Current', '--ignore', 'mode')
    expect(broker.payloads[0]).toEqual({ ts: FIRST, Pressure: 0.05, anomaly: 0, changepoint: 0 })
  })

  test('says the moment of sending, or no time, when asked to', async () => {
    const [now, none] = [new MemoryBroker(), new MemoryBroker()]
    await replaying(SKAB, now, { clock: new ManualClock(1_700_000_000_000) }).replay('--speed', '0', '--time', 'now')
    await replaying(SKAB, none).replay('--speed', '0', '--time', 'none')
    expect(now.payloads[1]).toMatchObject({ ts: 1_700_000_000_000 })
    expect(none.payloads[1]).not.toHaveProperty('ts')
  })

  test('goes to the address of the config, under the credentials given, as a client of its own', async () => {
    const broker = new MemoryBroker()
    await replaying(SKAB, broker).replay('--speed', '0', '--username', 'v1', '--password', 'pw', '--set', 'listen.mqtt="[::1]:1884"')
    expect(broker.clients).toEqual([{ url: 'mqtt://[::1]:1884', tls: null, clientId: 'picket-replay-r1', username: 'v1', password: 'pw' }])
    expect(broker.ended).toBe(1)
  })
})

test('goes to the broker of the first source where that is not Picket’s own', async () => {
  const broker = new MemoryBroker()
  await replaying(SKAB, broker).replay('--speed', '0', '--set', 'sources=[{ name: field, mqtt: { url: "wss://broker/mqtt", username: picket, password: "${PICKET_TEST_UNSET}" } }]')
  expect(broker.clients).toEqual([{ url: 'wss://broker/mqtt', tls: null, clientId: 'picket-replay-r1', username: null, password: null }])
})

describe('pace', () => {
  test.each([
    ['1', 1000],
    ['10', 100],
  ])('at --speed %s the second of two rows a second apart goes out after %d ms', async (speed, ms) => {
    const clock = new ManualClock()
    const broker = new MemoryBroker()
    const ended = replaying(SKAB, broker, { clock }).replay('--speed', speed)
    await untilDone(() => broker.messages.length > 0 && clock.pending > 0)
    await clock.advance(ms - 1)
    expect(broker.messages).toHaveLength(1)
    await clock.advance(1)
    expect(broker.messages).toHaveLength(2)
    await ended
  })

  test('a row whose time goes back is sent at once', async () => {
    const broker = new MemoryBroker()
    const csv = 'ts,x\n1000,1\n400,2\n'
    const { code } = await replaying(csv, broker).replay('--speed', '1')
    expect([code, broker.messages.length]).toEqual([0, 2])
  })
})

describe('acknowledgements', () => {
  test('at most a window is under way, and each one lets another row out', async () => {
    const acks: (() => void)[] = []
    const broker = new MemoryBroker(() => new Promise((resolve) => acks.push(resolve)))
    const ended = replaying(rows(100), broker).replay('--speed', '0')
    await untilDone(() => broker.messages.length >= WINDOW)
    await settle()
    expect(broker.messages).toHaveLength(WINDOW)
    acks.shift()?.()
    await settle()
    expect(broker.messages).toHaveLength(WINDOW + 1)
    while (acks.length > 0) {
      acks.shift()?.()
      await settle()
    }
    expect((await ended).stdout).toMatch(/^100 sent, 100 acked/)
  })

  test('none for 30 s ends the replay with 1, saying how far it came', async () => {
    const clock = new ManualClock()
    const broker = new MemoryBroker((count) => (count === 1 ? Promise.resolve() : new Promise(() => {})))
    const ended = replaying(SKAB, broker, { clock }).replay('--speed', '0')
    await untilDone(() => clock.pending > 0)
    await clock.advance(30_000)
    const { code, stderr } = await ended
    expect(code).toBe(1)
    expect(stderr).toMatch(/no acknowledgement for 30 s.*; 2 sent, 1 acknowledged/)
    expect(broker.ended).toBe(1)
  })

  test('a message the broker refuses ends the replay with 1', async () => {
    const broker = new MemoryBroker(() => Promise.reject(new Error('client disconnecting')))
    const { code, stderr } = await replaying(SKAB, broker).replay('--speed', '0')
    expect(code).toBe(1)
    expect(stderr).toContain('the broker did not take a message: client disconnecting')
  })
})

describe('bad files', () => {
  test('bad rows are named by line and left out, and the verb ends with 1', async () => {
    const broker = new MemoryBroker()
    const { code, stdout, stderr } = await replaying('ts,x\n1,1\nlater,2\n3,abc\n4,4,4\n5,5\n', broker).replay('--speed', '0')
    expect(code).toBe(1)
    expect(broker.payloads).toEqual([
      { ts: 1000, x: 1 },
      { ts: 5000, x: 5 },
    ])
    expect(stdout).toMatch(/^2 sent, 2 acked/)
    expect(stderr.split('\n').slice(0, 3)).toEqual([
      "line 3: ts is 'later', expected ISO 8601, YYYY-MM-DD hh:mm:ss, or seconds or ms since epoch",
      "line 4: x is 'abc', expected a number as in the rows before",
      'line 5: 3 cells, the header has 2',
    ])
    expect(stderr).toContain('3 rows of')
  })

  test('not more than twenty of them are named', async () => {
    const { stderr } = await replaying(`ts,x\n${'never,1\n'.repeat(50)}`, new MemoryBroker()).replay('--speed', '0')
    expect(stderr.match(/^line /gm)).toHaveLength(20)
    expect(stderr).toContain('50 rows of')
  })

  test.each([
    ['', 'the file is empty'],
    ['a,b\n1,2\n', 'no time column among a, b'],
  ])('a file that is %j ends with 2 before anything connects', async (csv, message) => {
    const broker = new MemoryBroker()
    const { code, stderr } = await replaying(csv, broker).replay()
    expect(code).toBe(2)
    expect(stderr).toContain(message)
    expect(broker.clients).toEqual([])
  })

  test('a file that is not there ends with 2', async () => {
    const { code, stderr } = await makeLab({ broker: new MemoryBroker() }).run('replay', '/nowhere.csv', ...DEVICE, '--config', aConfig())
    expect(code).toBe(2)
    expect(stderr).toContain('/nowhere.csv')
  })
})

test('progress is shown to a person at a terminal and to nobody else', async () => {
  const [person, script] = [replaying(SKAB, new MemoryBroker(), { isTerminal: true }), replaying(SKAB, new MemoryBroker())]
  expect((await person.replay('--speed', '0')).stderr).toContain('1 sent, ')
  expect((await script.replay('--speed', '0')).stderr).toBe('')
})

describe('replayTopic', () => {
  const values = { class: 'pump', device: 'p1', parts: {} }

  test('fills in the first pattern that takes JSON objects', () => {
    expect(replayTopic(['t/{device}/{metric}', 'telemetry/{class}/{device}'], values)).toBe('telemetry/pump/p1')
    expect(replayTopic(['{site}/{device}'], { ...values, parts: { site: 'north' } })).toBe('north/p1')
  })

  test('refuses a part without a value, and a value that is no topic level', () => {
    expect(() => replayTopic(['{site}/{device}'], values)).toThrow('give --part site=VALUE')
    expect(() => replayTopic(['{constructor}/{device}'], values)).toThrow('give --part constructor=VALUE')
    for (const device of ['a/b', 'a+', '#', ''])
      expect(() => replayTopic(['telemetry/{class}/{device}'], { ...values, device })).toThrow('expected one topic level')
    expect(() => replayTopic(['t/{device}/{metric}'], values)).toThrow('no topic pattern without {metric}')
  })
})
