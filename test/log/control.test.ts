/** Control records: each kind comes back as it was, and equal settings have equal bytes. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, type Control, type ControlBody, decodeControl, encodeControl, isControl } from '../../src/log/control.ts'
import { classOf, configOf, controlOf, listening, metricOf, settingsOf, START } from '../detect/fleet.ts'

const BODIES: ControlBody[] = [
  { kind: 'tick', writer: 'ingest-1', sources: [listening('field'), listening('yard', { connectedSince: null, backlog: true })] },
  { kind: 'tick', writer: 'ingest-1', sources: [] },
  { kind: 'config', version: 3, hash: 'abc', settings: settingsOf({ classes: { default: classOf(), pump: classOf({ metrics: { x: metricOf({ above: 7.1, unit: 'mm/s' }) } }) } }) },
  { kind: 'quarantine', device: 'pump-1', generation: START, until: START + 60_000 },
  { kind: 'quarantine', device: 'pump-1', generation: START, until: null },
  { kind: 'verdict', incident: 'i', device: 'pump-1', verdict: 'normal' },
  { kind: 'reset', device: 'pump-1', metric: null },
  { kind: 'reset', device: 'pump-1', metric: 'vibration' },
  { kind: 'model', name: 'pump', version: 2, bytes: Buffer.from([1, 2, 3]) },
]

/** Avro's records have prototypes of their own. */
const plain = (control: Control) => JSON.parse(JSON.stringify(control)) as unknown

describe('a control record', () => {
  it.each(BODIES)('of kind $kind comes back as it was', (body) => {
    const control: Control = { id: 'c-1', incarnation: 'first', at: START + 0.5, body }
    const bytes = encodeControl(control)
    expect(isControl(bytes)).toBe(true)
    expect(plain(decodeControl(bytes))).toEqual(plain(control))
  })

  it('has the same bytes for equal settings, whatever the order of their keys', () => {
    const settings = settingsOf()
    const turned = Object.fromEntries(Object.entries(settings).toReversed()) as unknown as typeof settings
    expect(encodeControl(configOf(1, turned))).toEqual(encodeControl(configOf(1, settings)))
  })

  it('from before settings had sites, devices and time zones is read with their defaults', () => {
    const { sites: _, devices: __, ...settings } = settingsOf()
    const { timezone: ___, ...klass } = classOf()
    const older = { ...settings, classes: { default: klass } } as unknown as ReturnType<typeof settingsOf>
    expect(decodeControl(encodeControl(configOf(1, older))).body).toMatchObject({ settings: settingsOf() })
  })

  it('whose settings are no JSON is BAD_RECORD', () => {
    const bytes = encodeControl(configOf(1, settingsOf()))
    const at = bytes.indexOf('{"capacity"')
    bytes.write('<', at)
    expect(() => decodeControl(bytes)).toThrow(expect.objectContaining({ code: 'BAD_RECORD', message: 'config record without readable settings' }))
  })

  it('cut anywhere is BAD_RECORD', () => {
    const bytes = encodeControl(controlOf('c', BODIES[0]!))
    for (let length = 0; length < bytes.length; length++) expect(() => decodeControl(bytes.subarray(0, length))).toThrow(expect.objectContaining({ code: 'BAD_RECORD' }))
  })

  it('that does not fit its schema is a programmer’s error', () => {
    expect(() => encodeControl(controlOf('c', { kind: 'quarantine', device: 'd', generation: '7', until: null } as unknown as ControlBody))).toThrow('invalid "double": "7"')
  })
})

describe('canonical JSON', () => {
  it('sorts keys by code unit at every depth, and leaves lists as they are', () => {
    expect(canonicalJson({ b: [2, 1], a: { d: 1, c: [{ z: 1, y: 2 }] }, B: null })).toBe('{"B":null,"a":{"c":[{"y":2,"z":1}],"d":1},"b":[2,1]}')
  })

  it('says the same of any value however its keys were put in', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const turned = Object.fromEntries(Object.entries(value).toReversed())
        expect(canonicalJson(turned)).toBe(canonicalJson(value))
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })
})
