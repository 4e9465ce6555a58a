/** What `log read` makes of records written by the log's own formats. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodedLine, decodeRecord } from '../../src/cli/log-decode.ts'
import type { DecodedMessage } from '../../src/cli/log-decode.ts'
import { hashText } from '../../src/core/hash.ts'
import { KIND_BOOLEAN, KIND_CATEGORY, KIND_MISSING, KIND_NUMBER } from '../../src/core/message.ts'
import { encodeControl } from '../../src/log/control.ts'
import type { ControlBody } from '../../src/log/control.ts'
import { encodeFrame } from '../../src/log/frame.ts'
import { encodeHeader } from '../../src/log/header.ts'
import type { StoredRecord, Topic } from '../../src/log/log.ts'
import { encodePage } from '../../src/log/page.ts'
import { encodeIncidentRecord } from '../../src/log/revision.ts'
import { anIncident } from '../api/fleet.ts'

const ARRIVAL = 1_700_000_000_000

function decoded(topic: Topic, value: Uint8Array | null, key = 'k') {
  const record: StoredRecord = { key, value, offset: 7, time: ARRIVAL }
  return decodeRecord(topic, 2, record)
}

interface Said {
  readonly device: string
  readonly class: string | null
  readonly time: number | null
  readonly flags: number
  readonly metrics: Readonly<Record<string, number | boolean | string | null>>
}

/** A frame as ingest would write it. */
function frameOf(messages: readonly Said[]): Buffer {
  const metrics = [...new Set(messages.flatMap((message) => Object.keys(message.metrics)))]
  const readings = messages.flatMap((message) => Object.entries(message.metrics))
  const texts = readings.flatMap(([, value]) => (typeof value === 'string' ? [value] : []))
  const starts = messages.map((_, i) => messages.slice(0, i).reduce((sum, message) => sum + Object.keys(message.metrics).length, 0))
  const kindOf = (value: unknown) => (value === null ? KIND_MISSING : typeof value === 'string' ? KIND_CATEGORY : typeof value === 'boolean' ? KIND_BOOLEAN : KIND_NUMBER)
  return encodeFrame({
    source: 'embedded',
    devices: messages.map((message) => ({ name: message.device, labels: message.class === null ? {} : { class: message.class } })),
    metrics,
    categories: Object.fromEntries(texts.map((text) => [String(hashText(text)), text])),
    device: Int32Array.from(messages.keys()),
    time: Float64Array.from(messages, (message) => message.time ?? NaN),
    arrival: Float64Array.from(messages, () => ARRIVAL),
    start: Int32Array.from(starts),
    count: Int32Array.from(messages, (message) => Object.keys(message.metrics).length),
    size: new Int32Array(messages.length),
    payload: new Float64Array(messages.length),
    shape: new Float64Array(messages.length),
    flags: Uint8Array.from(messages, (message) => message.flags),
    metric: Int32Array.from(readings, ([name]) => metrics.indexOf(name)),
    kind: Uint8Array.from(readings, ([, value]) => kindOf(value)),
    value: Float64Array.from(readings, ([, value]) => (typeof value === 'string' ? hashText(value) : Number(value))),
  })
}

describe('readings', () => {
  test('come message by message, each kind of value as it was sent', () => {
    const frame = frameOf([
      { device: 'p1', class: 'pump', time: 5, flags: 0, metrics: { speed: 2.5, on: true, mode: 'auto', gone: null } },
      { device: 'p2', class: null, time: null, flags: 1 | 2 | 4 | 16, metrics: {} },
    ])
    expect(decoded('readings', frame)).toEqual([
      { offset: 7, index: 0, partition: 2, device: 'p1', class: 'pump', time: 5, arrival: ARRIVAL, metrics: { speed: 2.5, on: true, mode: 'auto', gone: null }, flags: [] },
      { offset: 7, index: 1, partition: 2, device: 'p2', class: 'default', time: null, arrival: ARRIVAL, metrics: {}, flags: ['dup', 'retain', 'trimmed'] },
    ])
  })

  test('survive the way through a frame, whatever was said', () => {
    const value = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0), fc.boolean(), fc.string(), fc.constant(null))
    const said = fc.record<Said>({
      device: fc.string({ minLength: 1 }),
      class: fc.option(fc.string({ minLength: 1 })),
      time: fc.option(fc.integer()),
      flags: fc.constantFrom(0, 1, 2, 3),
      metrics: fc.dictionary(fc.string({ minLength: 1 }), value, { maxKeys: 5 }),
    })
    fc.assert(
      fc.property(fc.array(said, { maxLength: 8 }), (messages) => {
        const read = decoded('readings', frameOf(messages)) as readonly DecodedMessage[]
        expect(read.map(({ device, time, metrics }) => ({ device, time, metrics: { ...metrics } }))).toEqual(
          messages.map(({ device, time, metrics }) => ({ device, time, metrics: { ...metrics } })),
        )
      }),
    )
  })

  test('a category whose text the frame lacks is shown by its hash', () => {
    const frame = encodeFrame({
      source: 's',
      devices: [{ name: 'p1', labels: {} }],
      metrics: ['mode'],
      categories: {},
      device: Int32Array.of(0),
      time: Float64Array.of(1),
      arrival: Float64Array.of(1),
      start: Int32Array.of(0),
      count: Int32Array.of(1),
      size: Int32Array.of(1),
      payload: Float64Array.of(1),
      shape: Float64Array.of(1),
      flags: Uint8Array.of(0),
      metric: Int32Array.of(0),
      kind: Uint8Array.of(KIND_CATEGORY),
      value: Float64Array.of(12345),
    })
    expect(decoded('readings', frame)).toMatchObject([{ metrics: { mode: '#12345' } }])
  })

  test.each<[ControlBody, object]>([
    [{ kind: 'tick', writer: 'w', sources: [] }, { control: 'tick', writer: 'w', sources: [] }],
    [{ kind: 'quarantine', device: 'p1', generation: 5, until: null }, { control: 'quarantine', device: 'p1', generation: 5, until: null }],
    [{ kind: 'model', name: 'm', version: 1, bytes: Buffer.from('abc') }, { control: 'model', name: 'm', version: 1, bytes: 3 }],
  ])('control records say what they are: %j', (body, expected) => {
    const record = encodeControl({ id: 'c1', incarnation: 'inc', at: 9, body })
    expect(decoded('readings', record)).toEqual([{ offset: 7, partition: 2, id: 'c1', incarnation: 'inc', at: 9, ...expected }])
  })
})

describe('the other topics', () => {
  test('incidents come with their stamp', () => {
    const stamp = { incarnation: 'inc', epoch: 3, position: { offset: 40, index: 2 }, n: 1 }
    expect(decoded('incidents', encodeIncidentRecord({ kind: 'revision', stamp, arrival: 0, incident: anIncident() }))).toEqual([
      { offset: 7, partition: 2, stamp, incident: anIncident() },
    ])
    expect(decoded('incidents', encodeIncidentRecord({ kind: 'opened', stamp: { ...stamp, n: 0 }, ids: ['i1'], config: null }))).toEqual([
      { offset: 7, partition: 2, stamp: { ...stamp, n: 0 }, opened: ['i1'] },
    ])
    const config = { version: 2, hash: 'abc', offset: 40 }
    expect(decoded('incidents', encodeIncidentRecord({ kind: 'opened', stamp: { ...stamp, n: 0 }, ids: [], config }))).toMatchObject([{ opened: [], config }])
  })

  test('pages of state come row by row, the numbers under their part', () => {
    const numbers = new DataView(new ArrayBuffer(2 * 28))
    ;[1.5, 2.5, 3.5].forEach((x, i) => numbers.setFloat64(8 * i, x, true))
    numbers.setFloat32(24, 0.25, true)
    ;[10, 20, 30].forEach((x, i) => numbers.setFloat64(28 + 8 * i, x, true))
    numbers.setFloat32(52, 40, true)
    const page = encodePage({
      kind: 'series',
      number: 4,
      parts: [
        { name: 'base', version: 1, float64: 1, float32: 1 },
        { name: 'level', version: 2, float64: 2, float32: 0 },
      ],
      rows: [
        { slot: 0, name: 'p1/x', about: '' },
        { slot: 3, name: 'p2/x', about: '{}' },
      ],
      numbers: new Uint8Array(numbers.buffer),
    })
    expect(decoded('state', page, 'series/4')).toEqual([
      {
        offset: 7,
        partition: 2,
        key: 'series/4',
        page: 'series',
        number: 4,
        rows: [
          { slot: 0, name: 'p1/x', about: '', parts: { base: { version: 1, float64: [1.5], float32: [0.25] }, level: { version: 2, float64: [2.5, 3.5], float32: [] } } },
          { slot: 3, name: 'p2/x', about: '{}', parts: { base: { version: 1, float64: [10], float32: [40] }, level: { version: 2, float64: [20, 30], float32: [] } } },
        ],
      },
    ])
  })

  test('the header stands by itself, in state and leases', () => {
    const header = { incarnation: 'inc', epoch: 2, partitions: 4, key: 'device', next: { 'readings/2': 100 } }
    for (const topic of ['state', 'leases'] as const)
      expect(decoded(topic, encodeHeader(header), 'header')).toEqual([{ offset: 7, partition: 2, key: 'header', header }])
  })

  test('JSON is shown as it is, anything else as base64, a deleted key as deleted', () => {
    expect(decoded('actions', Buffer.from('{"a":[1]}'))).toEqual([{ offset: 7, partition: 2, key: 'k', value: { a: [1] } }])
    expect(decoded('leases', Buffer.from([0xff, 0x00]))).toEqual([{ offset: 7, partition: 2, key: 'k', base64: '/wA=' }])
    expect(decoded('leases', null)).toEqual([{ offset: 7, partition: 2, key: 'k', deleted: true }])
  })

  test.each(['readings', 'incidents', 'state'] as const)('rubbish in %s becomes an error with its place', (topic) => {
    expect(decoded(topic, Buffer.from('rubbish'))).toEqual([{ offset: 7, partition: 2, key: 'k', error: expect.stringContaining('not a') }])
  })
})

test('a message is one line for people', () => {
  const [message] = decoded('readings', frameOf([{ device: 'p1', class: 'pump', time: ARRIVAL, flags: 1, metrics: { speed: 2.5, mode: 'a b' } }]))
  expect(decodedLine(message!)).toBe('2/7.0  2023-11-14T22:13:20.000Z  pump  p1  speed=2.5 mode="a b" [dup]')
})
