/** A hundred thousand texts and arguments at the config's door: each loads, or is refused in few words. */
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/problems.ts'

const TEXTS = 60_000
const SLIPS = 20_000
const PATIENCE_MS = 240_000
/** Characters of any refusal: a hundred lines. */
const MESSAGE_MAX = 100 * 1_000

const shipped = readdirSync('config', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'))
const texts = shipped.map((file) => readFileSync(`config/${file}`, 'utf8'))

/** The refusal, or null when it was loaded. Anything else that is thrown stays thrown. */
function refusalOf(text: string, set: readonly string[] = []): ConfigError | null {
  try {
    loadConfig({ file: 'f', text, set, environment: {} })
    return null
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
}

function holds(text: string, set: readonly string[] = []): void {
  const refusal = refusalOf(text, set)
  if (!refusal) return
  expect(refusal.problems.length).toBeGreaterThan(0)
  expect(refusal.message.length).toBeLessThan(MESSAGE_MAX)
}

const YAML_BITS = ['&a ', '*a', '!!set ', '!x ', '? ', ': ', '- ', '[', ']', '{', '}', '|\n', '>\n', '"', "'", '\t', '---\n', '%YAML 1.1\n', '<<: *a', '#', '${X}', '\u0000', '\uFEFF', '1e400', '.inf', '~', '__proto__: ']
const bit = fc.constantFrom(...YAML_BITS)

/** Of a file that ships: some places cut out, repeated, or filled with what YAML makes something of. */
const mutated = fc
  .tuple(fc.constantFrom(...texts), fc.array(fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), cut: fc.nat(12), put: fc.oneof(bit, fc.string({ maxLength: 6 })) }), { minLength: 1, maxLength: 4 }))
  .map(([text, edits]) =>
    edits.reduce((current, { at, cut, put }) => {
      const place = Math.floor(at * current.length)
      return current.slice(0, place) + put + current.slice(place + cut)
    }, text),
  )

const key = fc.constantFrom('listen', 'http', 'log', 'embedded', 'classes', 'default', 'pump', 'sites', 'devices', 'metrics', 'quarantine', 'sources', 'topics', 'notify', 'webhook', 'secret', 'respond', '0', '1', '99', '__proto__', 'constructor', '"a.b"', '""', '"\\', 'x')
const argument = fc
  .tuple(fc.array(key, { minLength: 1, maxLength: 5 }), fc.oneof(bit, fc.string({ maxLength: 12 }), fc.json({ maxDepth: 2 }), fc.constantFrom('never', '1 per day', '10m', 'true', '7')))
  .map(([keys, value]) => `${keys.join('.')}=${value}`)

describe('whatever text', () => {
  it('made of YAML’s own signs is loaded or refused', () => {
    fc.assert(fc.property(fc.array(fc.oneof(bit, fc.string({ maxLength: 4 }), fc.constantFrom('listen', 'classes', '\n', '\n  ')), { maxLength: 30 }), (bits) => holds(bits.join(''))), { numRuns: TEXTS })
  }, PATIENCE_MS)

  it('comes of a file that ships and a few slips is loaded or refused', () => {
    fc.assert(fc.property(mutated, (text) => holds(text)), { numRuns: SLIPS })
  }, PATIENCE_MS)

  it('and arguments are given, they are loaded or refused', () => {
    fc.assert(fc.property(fc.constantFrom('', ...texts), fc.array(fc.oneof(argument, fc.string({ maxLength: 20 })), { maxLength: 3 }), (text, set) => holds(text, set)), { numRuns: SLIPS })
  }, PATIENCE_MS)
})
