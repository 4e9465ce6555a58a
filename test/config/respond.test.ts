/** The section `respond`, and how a webhook gathers: what is read, and what is refused. */
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'

const load = (text: string) => loadConfig({ file: 'picket.yaml', text })

test('leaves nobody without a bound', () => {
  expect(load('').respond).toEqual({ enforcement: 'on', quarantines: { perMinute: 10, atOnce: 100, group: null } })
})

test('is read whole', () => {
  const text = 'respond: { enforcement: off, quarantines: { perMinute: 3, atOnce: 7, group: { by: class, atOnce: 2 } } }'
  expect(load(text).respond).toEqual({ enforcement: 'off', quarantines: { perMinute: 3, atOnce: 7, group: { by: 'class', atOnce: 2 } } })
})

test('is no part of what the partitions hold', () => {
  expect(load('respond: { enforcement: off }').settingsHash).toBe(load('').settingsHash)
})

test('takes a named part of the topics as a group', () => {
  const sources = (topic: string) => `sources: [{ name: a, embedded: true, topics: ["${topic}"] }]\nrespond: { quarantines: { group: { by: site, atOnce: 2 } } }`
  expect(load(sources('t/{site}/{device}')).respond.quarantines.group).toEqual({ by: 'site', atOnce: 2 })
  expect(() => load(sources('t/{class}/{device}'))).toThrow('respond.quarantines.group.by: is "site"; allowed: a label that devices have from their topics: class')
})

test.each([
  ['respond: { enforcement: maybe }', 'respond.enforcement: is "maybe"; allowed: one of on, off'],
  ['respond: { quarantines: { perMinute: 0 } }', 'respond.quarantines.perMinute: is 0; allowed: a whole number from 1 to 1000'],
  ['respond: { quarantines: { group: { by: Site, atOnce: 1 } } }', 'respond.quarantines.group.by: is "Site"'],
  ['notify: [{ webhook: { url: "http://h/", group: 1h } }]', 'notify.0.webhook.group: is "1h"; allowed: a duration from 1s to 10m'],
])('%s is refused', (text, message) => {
  expect(() => load(text)).toThrow(message)
})

test('a webhook gathers for as long as it says, or not at all', () => {
  const gather = (more: string) => load(`notify: [{ webhook: { url: "http://h/"${more} } }]`).notify[0]!.webhook.gatherMs
  expect([gather(', group: 30s'), gather('')]).toEqual([30_000, 0])
})
