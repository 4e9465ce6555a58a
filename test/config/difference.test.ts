/** How two configurations differ, key by key: what is old and new, where it stands, what it needs, and that no secret shows. */
import { describe, expect, it } from 'vitest'
import { loadWritten } from '../../src/config/config.ts'
import { differencesOf, effectText, entriesOf, shownEntries } from '../../src/config/difference.ts'

function entries(text: string, { set = [], environment = {} }: { set?: string[]; environment?: Record<string, string> } = {}) {
  return entriesOf(loadWritten({ file: 'my.yaml', text, set, environment, unsetSecrets: 'leave' }))
}

/** `KEY: OLD → NEW, WHERE, EFFECT`. */
function changes(before: string, after: string, set: string[] = []): string[] {
  return differencesOf(entries(before), entries(after, { set })).map(
    (one) => `${one.key}: ${one.old} → ${one.new}, ${one.place}, ${effectText(one)}`,
  )
}

const EMPTY = '{}\n'

describe('the difference', () => {
  it('of equal configurations is nothing, however they say it', () => {
    expect(changes(EMPTY, EMPTY)).toEqual([])
    expect(changes(EMPTY, 'listen: { http: 127.0.0.1:8080 }\nlog: { embedded: { path: ./data } }\n')).toEqual([])
    expect(changes('state: { expire: 1d }\n', 'state: { expire: 24h }\n')).toEqual([])
  })

  it('names old and new as they are written, and the line or argument of the new', () => {
    expect(changes('state: { expire: 1d }\n', 'classes:\n  pump:\n    warmup: 50\n', ['state.expire=2d'])).toEqual([
      'classes.pump.warmup: null → 50, my.yaml:3:13, new version for all partitions',
      'state.expire: 1d → 2d, --set state.expire, new version for all partitions',
    ])
  })

  it('of what is left out is the default again, or nothing', () => {
    expect(changes('classes: { pump: { warmup: 50 } }\nstate: { expire: 2d }\n', EMPTY)).toEqual([
      'state.expire: 2d → 30d, null, new version for all partitions',
      'classes.pump.warmup: 50 → null, null, new version for all partitions',
    ])
  })

  it('tells of a class without keys', () => {
    expect(changes(EMPTY, 'classes: { pump: {} }\n')).toEqual(['classes.pump: null → {}, my.yaml:1:18, new version for all partitions'])
    expect(changes('classes: { pump: {} }\n', 'classes: { pump: { warmup: 50 } }\n')).toHaveLength(1)
  })

  it('of a list is the whole of it, of mappings in a list each key', () => {
    expect(changes(EMPTY, 'detectors: [level, limits]\n')[0]).toMatch(/^detectors: \[level, .*shape\] → \[level, limits\], my.yaml:1:12, new version/)
    const topics = (first: string) => `sources: [{ name: a, embedded: true, topics: [{ pattern: "${first}" }, "b/{device}"] }]\n`
    expect(changes(topics('x/{device}'), topics('y/{device}'))).toEqual([
      'sources.0.topics.0.pattern: x/{device} → y/{device}, my.yaml:1:58, needs a restart of ingest and respond',
    ])
  })

  it.each([
    ['respond: { quarantines: { perMinute: 3 } }', 'taken with a reload, by respond'],
    ['respond: { enforcement: off }', 'taken with a reload, by respond'],
    ['notify: [{ webhook: { url: "http://far.example/x" } }]', 'taken with a reload, by respond'],
    ['limits: { metricsPerDevice: 9 }', 'new version for all partitions, and a restart of ingest'],
    ['limits: { newSeriesPerMinute: 9 }', 'new version for all partitions'],
    ['limits: { payload: 1KiB }', 'needs a restart of ingest'],
    ['log: { frame: { messages: 1 } }', 'needs a restart of ingest'],
    ['capacity: { devices: 9 }', 'new version for all partitions'],
    ['time: { tolerance: 9m }', 'new version for all partitions'],
    ['sites: { north: { warmup: 9e1 } }', 'new version for all partitions'],
    ['classes: { "a.b": { window: { size: 5 } } }', 'has no effect'],
    ['state: { checkpoint: { interval: 9s } }', 'needs a restart of detect'],
    ['listen: { http: "127.0.0.1:9" }', 'needs a restart of every process'],
    ['listen: { mqtt: "127.0.0.1:9" }', 'needs a restart of ingest'],
    ['auth: { credentials: ./c }', 'needs a restart of ingest'],
    ['auth: { signingKey: ./c }', 'needs a restart of respond'],
    ['log: { embedded: { path: ./other } }', 'needs a restart of every process'],
    ['log: { embedded: { partitions: 9 } }', 'refused at the next start: the log was made with the old value'],
    ['sources: [{ name: embedded, embedded: true, device: "x{device}" }]', 'refused at the next start: the log was made with the old value'],
  ])('says what it needs: %s', (text, effect) => {
    const found = changes(EMPTY, `${text}\n`)
    expect(found.length).toBeGreaterThan(0)
    for (const one of found) expect(one).toMatch(new RegExp(`, ${effect}$`))
  })
})

it('does not tell of an empty list beside what is new in it', () => {
  expect(changes('notify: []', 'notify: [{ webhook: { url: "http://far.example/x" } }]').every((one) => one.startsWith('notify.0.'))).toBe(true)
})

describe('a secret', () => {
  const hook = (secret: string, url = 'https://far.example/hooks/T0KEN') => `notify: [{ webhook: { url: "${url}", secret: "${secret}" } }]\n`

  it('never shows, nor more of a receiver than its host', () => {
    const all = JSON.stringify(shownEntries([...entries(hook('s3cret')), ...entries(hook('${S}'), { environment: { S: 's3cret' } })]))
    expect(all).not.toContain('s3cret')
    expect(all).not.toContain('T0KEN')
    expect(all).toContain('${S}')
    expect(JSON.stringify(differencesOf(entries(hook('s3cret')), entries(hook('0ther'))))).not.toMatch(/s3cret|0ther/)
  })

  it('that changed is told inside the process, though not what it is', () => {
    expect(changes(hook('s3cret'), hook('0ther'))).toEqual(['notify.0.webhook.secret: (not shown) → (not shown), my.yaml:1:71, taken with a reload, by respond'])
    const [was, is] = ['a-secret', 'another'].map((S) => entries(hook('${S}'), { environment: { S } }))
    expect(differencesOf(was!, is!).map(({ key }) => key)).toEqual(['notify.0.webhook.secret'])
  })

  it('is compared by its reference alone with what another process shows', () => {
    const shown = (secret: string, S = 'x') => shownEntries(entries(hook(secret), { environment: { S } }))
    expect(differencesOf(shown('${S}'), entries(hook('${S}')))).toEqual([])
    expect(differencesOf(shown('s3cret'), entries(hook('0ther')))).toEqual([])
    expect(differencesOf(shown('${S}'), entries(hook('${T}'))).map(({ key }) => key)).toEqual(['notify.0.webhook.secret'])
  })
})
