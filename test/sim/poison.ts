/** Payloads that no codec takes: each has to end as a dead letter, acknowledged. */
import type { Prng } from '../../src/fleet/prng.ts'

const KINDS: readonly ((n: number) => Buffer)[] = [
  (n) => Buffer.from(`{"pressure": ${n}`),
  (n) => Buffer.from(`[${n}, 2]`),
  (n) => Buffer.from(`{"pressure": 1e999, "n": ${n}}`),
  (n) => Buffer.from(`${'{"a":'.repeat(40)}${n}${'}'.repeat(40)}`),
  (n) => Buffer.concat([Buffer.from(`{"n": ${n}, "x": "`), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
  (n) => Buffer.from(`{"__proto__": {"n": ${n}}, "constructor": 1}`),
  (n) => Buffer.from(`{"": ${n}}`),
  (n) => Buffer.from(`{"ts": "yesterday", "n": ${n}}`),
  (n) => Buffer.from(JSON.stringify({ n, text: 'x'.repeat(5_000) })),
  (n) => Buffer.from(JSON.stringify(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`m${i}`, n])))),
  (n) => Buffer.from(`"${n}" "${n}"`),
  (n) => Buffer.from(`NaN ${n}`),
]

/** `n` makes it one of a kind. */
export function poison(draw: Prng, n: number): Buffer {
  return draw.pick(KINDS)(n)
}
