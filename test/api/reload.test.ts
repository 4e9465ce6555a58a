/** The resources about the configuration: what is in force, how far it has come, and a reload, asked of a leader and of others. */
import { describe, expect, test } from 'vitest'
import type { ConfigDoor, Reloaded } from '../../src/api/config-door.ts'
import { PipelineError } from '../../src/core/errors.ts'
import type { ConfigView } from '../../src/core/standing.ts'
import { openDoor } from './door.ts'
import { aStanding } from './fleet.ts'

const VIEW: ConfigView = { version: 3, hash: 'hash-3', partitions: [{ partition: 0, state: 'switched', version: 3, position: 70 }, { partition: 1, state: 'written', version: 2, position: 9 }] }
const LEADING = aStanding({ config: VIEW })
const RELOADED: Reloaded = { ...VIEW, version: 4, isNew: true, changed: [{ key: 'detectors', old: '[level]', new: '[limits]', place: 'a.yaml:3:1', does: 'version', roles: [] }] }

function door(reload: ConfigDoor['reload']): ConfigDoor {
  return { running: () => ({ hash: 'hash-of-file', keys: [{ key: 'detectors', value: '[level]', means: '["level"]', place: null }] }), reload }
}

describe('GET /api/v1/reload', () => {
  test('says how far each partition is', async () => {
    expect(await openDoor({ standing: LEADING }).ask('GET', '/api/v1/reload')).toMatchObject({ status: 200, body: VIEW })
  })

  test('is 503 with why before it is known what is in force', async () => {
    const readiness = { ready: false, reasons: ['respond: no detect has said which configuration readings/3 has'] }
    const answer = await openDoor({ standing: aStanding(), readiness }).ask('GET', '/api/v1/reload')
    expect(answer).toMatchObject({ status: 503, message: expect.stringContaining('no detect has said which configuration readings/3 has') as string })
  })
})

describe('POST /api/v1/reload', () => {
  test('answers what was written and what changed', async () => {
    const asked: string[] = []
    const { ask } = openDoor({ standing: LEADING, config: door(async (by) => (asked.push(by), RELOADED)) })
    expect(await ask('POST', '/api/v1/reload', {})).toMatchObject({ status: 200, body: RELOADED })
    expect(await ask('POST', '/api/v1/reload')).toMatchObject({ status: 200 })
    expect(asked).toEqual(['api', 'api'])
  })

  test('is 422 with the whole message where the file is refused', async () => {
    const refused = door(async () => Promise.reject(new PipelineError('BAD_CONFIG', 'a.yaml:1:1: listen: one\na.yaml:2:1: log: two')))
    expect(await openDoor({ standing: LEADING, config: refused }).ask('POST', '/api/v1/reload', {})).toMatchObject({
      status: 422,
      body: { error: { code: 'bad_config', message: 'a.yaml:1:1: listen: one\na.yaml:2:1: log: two' } },
    })
  })

  test('is 421 naming the leader where another process leads, and reads nothing', async () => {
    let reads = 0
    const options = { standing: null, holders: { respond: '10.0.0.2:8080' }, config: door(async () => (reads++, null)) }
    expect(await openDoor(options).ask('POST', '/api/v1/reload', {})).toMatchObject({ status: 421, body: { error: { code: 'misdirected', owner: 'http://10.0.0.2:8080' } } })
    expect(await openDoor({ ...options, roles: ['ingest'] }).ask('POST', '/api/v1/reload', {})).toMatchObject({ status: 421, body: { error: { owner: 'http://10.0.0.2:8080' } } })
    expect(reads).toBe(0)
  })

  test('is 503 in a process without a file, and takes no keys', async () => {
    expect(await openDoor({ standing: LEADING }).ask('POST', '/api/v1/reload', {})).toMatchObject({ status: 503 })
    expect(await openDoor({ standing: LEADING }).ask('POST', '/api/v1/reload', { now: true })).toMatchObject({ status: 400 })
  })
})

describe('GET /api/v1/config', () => {
  test('says what the process runs with, and on the leader what is in force', async () => {
    const config = door(async () => null)
    const body = { roles: ['ingest', 'detect', 'respond'], hash: 'hash-of-file', keys: [{ key: 'detectors', value: '[level]' }] }
    expect(await openDoor({ standing: LEADING, config }).ask('GET', '/api/v1/config')).toMatchObject({ status: 200, body: { ...body, inForce: { version: 3, hash: 'hash-3' } } })
    expect(await openDoor({ standing: null, config }).ask('GET', '/api/v1/config')).toMatchObject({ status: 200, body: { ...body, inForce: null } })
  })
})
