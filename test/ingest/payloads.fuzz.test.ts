/** The codecs under a hundred thousand inputs each: read as they mean, or refused by the one error that is named, and nothing else. */
import { describe, expect, it } from 'vitest'
import { CODECS, TIME_UNITS } from '../../src/core/topic-rule.ts'
import { decodePayload } from '../../src/ingest/codecs/codec.ts'
import type { PayloadPlan } from '../../src/ingest/codecs/payload-plan.ts'
import { Refusal } from '../../src/ingest/refusal.ts'
import { forAll, INPUTS, readOrNamed } from './fuzzing.ts'
import { drawPayload, referenceOf } from './json-reference.ts'
import { LIMITS, PLAN } from './lab.ts'
import { mutations } from './mutations.ts'

const isRefusal = (error: unknown) => error instanceof Refusal && error.message.length < 600
const decode = (payload: Uint8Array, metric: string | null, plan: PayloadPlan) => readOrNamed(Buffer.from(payload).toString(), isRefusal, () => decodePayload(payload, metric, plan, LIMITS))

describe('the JSON codec', () => {
  it('reads what its plain reference reads, and refuses what that refuses', () => {
    let [read, refused] = [0, 0]
    forAll(50, (random) => {
      for (let i = 0; i < INPUTS; i++) {
        const text = drawPayload(random)
        const expected = referenceOf(text)
        const samples = decode(Buffer.from(text), null, { ...PLAN, codec: 'json' })
        const found = samples?.map(({ time, fields }) => ({ time, metrics: Object.fromEntries(fields.map(({ metric, kind, value }) => [metric, [kind, value]])) })) ?? null
        if (canonical(found) !== canonical(expected)) expect([text, found]).toEqual([text, expected])
        if (expected === null) refused++
        else read++
      }
    })
    expect(Math.min(read, refused)).toBeGreaterThan((50 * INPUTS) / 20)
  })

  it('reads or refuses what is nearly right, under any plan, and what it reads is finite and within its limits', () => {
    const bases = ['{"ts":1700000000000,"a":{"b":[1,true,"x",null]},"id":"p-1"}', '[{"ts":"2026-01-31T08:00:00Z","values":{"a":1.5,"id":7}},{"id":"p","a.b":1e3}]', '{"value":1,"q":"good"}']
    forAll(50, (random) => {
      const plan: PayloadPlan = {
        codec: random.pick(CODECS),
        timeUnit: random.pick(TIME_UNITS),
        timeFields: random.pick([PLAN.timeFields, ['a.b'], ['values.ts']]),
        nameFields: random.pick([[], ['id'], ['id', 'a.b'], ['values.id']]),
      }
      for (const text of mutations(random.pick(bases), random, INPUTS)) {
        const samples = decode(Buffer.from(text), random.pick([null, 'flow']), plan)
        expect((samples?.length ?? 1) >= 1 && (samples?.length ?? 1) <= LIMITS.samples).toBe(true)
        for (const { time, fields, names } of samples ?? []) {
          const isSound = (time === null || Math.abs(time) <= 8.64e15) && fields.length <= LIMITS.fields && names.length === plan.nameFields.length
          if (!isSound || !fields.every(({ metric, value }) => Number.isFinite(value) && metric.length <= LIMITS.nameLength)) throw new Error(JSON.stringify(text))
        }
      }
    })
  })
})

describe('any bytes', () => {
  it('are read or refused by every codec', () => {
    forAll(30, (random) => {
      for (let i = 0; i < INPUTS; i++) {
        const bytes = Uint8Array.from({ length: random.whole(0, 24) }, () => (random.chance(0.7) ? random.whole(32, 126) : random.whole(0, 255)))
        decode(bytes, null, { ...PLAN, codec: random.pick(CODECS) })
      }
    })
  })
})

describe('the number codec', () => {
  it('reads exactly the numbers that JSON.parse reads', () => {
    forAll(100, (random) => {
      for (const text of mutations(random.pick(['-12.50e+3', '0', '1700000000123', ' 7\n', '1e308']), random, INPUTS)) {
        const found = decode(Buffer.from(text), null, { ...PLAN, codec: 'number' })?.[0]?.fields[0]?.value ?? null
        const expected = numberOf(Buffer.from(text).toString())
        if (!Object.is(found, expected)) expect([text, found]).toEqual([text, expected])
      }
    })
  })
})

describe('the text codec', () => {
  it('keeps any text as it is', () => {
    forAll(100, (random) => {
      for (const text of mutations('OPEN {"a":1}', random, INPUTS)) {
        const found = decode(Buffer.from(text), 'door', { ...PLAN, codec: 'text' })?.[0]?.fields[0]?.text
        if (found !== Buffer.from(text).toString()) expect([text, found]).toEqual([text, text])
      }
    })
  })
})

/** Equal for equal values whatever the order of their keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1))) : inner,
  )
}

function numberOf(text: string): number | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'number' && Number.isFinite(value) ? value + 0 : null
  } catch {
    return null
  }
}
