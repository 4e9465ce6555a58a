/** The verbs that speak to a running Picket, and what the command line says and ends with when used wrongly. */
import { describe, expect, test } from 'vitest'
import { PipelineError } from '../../src/core/errors.ts'
import { aDevice, anIncident, Fleet } from '../api/fleet.ts'
import { aConfig, makeLab, readerOf } from './lab.ts'

const URL_ARGS = ['--url', 'http://picket.test']

describe('usage', () => {
  test.each([
    [[]],
    [['frobnicate']],
    [['devices', '--frob']],
    [['quarantine', 'p1']],
    [['log', 'read', 'nonsense']],
    [['devices', '--url', 'picket.test']],
    [['replay', 'x.csv', '--class', 'pump', '--device', 'p1', '--speed', '-1']],
    [['log', 'read', 'readings', '--from', 'x']],
  ])('picket %j ends with 2 and says something on stderr', async (args) => {
    const { code, stdout, stderr } = await makeLab().run(...args)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).not.toBe('')
  })

  test.each([['run'], ['check'], ['schema'], ['replay'], ['log'], ['log', 'read'], ['incidents'], ['devices'], ['quarantine'], ['release']])('picket %s %s --help ends with 0', async (...verb) => {
    const { code, stdout } = await makeLab().run(...verb.filter(Boolean), '--help')
    expect(code).toBe(0)
    expect(stdout).toContain(`Usage: picket ${verb.filter(Boolean).join(' ')}`)
  })

  test('every verb but log takes --config and --set', async () => {
    for (const verb of [['run'], ['check'], ['replay'], ['log', 'read'], ['incidents'], ['devices'], ['quarantine'], ['release']]) {
      const { stdout } = await makeLab().run(...verb, '--help')
      expect(stdout).toContain('--config <file>')
      expect(stdout).toContain('--set <key=value>')
    }
  })

  test('--version is the version, and ends with 0', async () => {
    expect(await makeLab().run('--version')).toMatchObject({ code: 0, stdout: '1.2.3\n', stderr: '' })
  })

  test('a config that is wrong ends with 2 and names file, key and value', async () => {
    const { code, stderr } = await makeLab().run('devices', '--config', aConfig('listen: { http: nowhere }\n'))
    expect(code).toBe(2)
    expect(stderr).toMatch(/picket\.yaml:1:\d+: listen\.http: is "nowhere"; allowed: host:port/)
  })

  test('a --set that is wrong ends with 2', async () => {
    const { code, stderr } = await makeLab().run('devices', '--config', aConfig(), '--set', 'listen.htp=1')
    expect(code).toBe(2)
    expect(stderr).toContain('did you mean http')
  })
})

describe('a secret that is not in the environment', () => {
  const config = () => aConfig('listen: { http: 127.0.0.1:18080 }\nnotify: [{ webhook: { url: "http://h/", secret: "${PICKET_TEST_UNSET}" } }]\n')

  test('is no matter of the verbs that send nothing', async () => {
    const fetch = async () => new Response('{"devices":[]}')
    expect((await makeLab({ fetch }).run('devices', '--config', config())).code).toBe(0)
    expect((await makeLab({ reader: readerOf('requests', [[]]) }).run('log', 'read', 'requests', '--config', config())).code).toBe(0)
  })

  test('is demanded by run', async () => {
    const { code, stderr } = await makeLab().run('run', '--config', config())
    expect(code).toBe(2)
    expect(stderr).toContain('needs the environment variable PICKET_TEST_UNSET')
  })
})

describe('a start that fails', () => {
  test('for a layout the log was not made with ends with 2', async () => {
    const start = () => Promise.reject(new PipelineError('PARTITIONS_CHANGED', 'set sources.0.device back'))
    const { code, stderr } = await makeLab({ start }).run('run', '--config', aConfig(), '--log-level', 'silent')
    expect([code, stderr]).toEqual([2, 'picket: set sources.0.device back\n'])
  })
})

describe('where the API is', () => {
  const asked = (...args: string[]) => {
    const urls: string[] = []
    const fetch = async (input: unknown) => {
      urls.push(String(input))
      return new Response('{"devices":[]}')
    }
    return makeLab({ fetch: fetch as typeof globalThis.fetch }).run('devices', ...args).then(() => urls)
  }

  test('comes from the config', async () => {
    expect(await asked('--config', aConfig())).toEqual(['http://127.0.0.1:18080/api/v1/devices?limit=1000'])
  })

  test('follows --set', async () => {
    expect(await asked('--config', aConfig(), '--set', 'listen.http=127.0.0.1:9')).toEqual(['http://127.0.0.1:9/api/v1/devices?limit=1000'])
  })

  test('is --url when given, which needs no config', async () => {
    expect(await asked('--url', 'https://picket.test/behind/', '--config', '/nowhere.yaml')).toEqual(['https://picket.test/behind/api/v1/devices?limit=1000'])
  })

  test('nobody answering ends with 1 and says what to do', async () => {
    const { code, stderr } = await makeLab({ fleet: new Fleet() }).run('devices', '--config', aConfig())
    expect(code).toBe(1)
    expect(stderr).toBe('picket: no Picket answers at http://127.0.0.1:18080; start it with npm start, or give --url\n')
  })

  test('something else answering ends with 1 and says so', async () => {
    const fetch = async () => new Response('<html>', { status: 502 })
    const { code, stderr } = await makeLab({ fetch }).run('devices', ...URL_ARGS)
    expect(code).toBe(1)
    expect(stderr).toContain('answered 502, not as Picket does')
  })
})

describe('incidents', () => {
  const incidents = [anIncident({ id: 'a' }), anIncident({ id: 'b', state: 'closed', device: 'p2' })]

  test('are a table for people', async () => {
    const { code, stdout } = await makeLab({ fleet: new Fleet({ incidents }) }).run('incidents', ...URL_ARGS)
    expect(code).toBe(0)
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      'ID  OPENED                STATE   SEVERITY  CAUSE  CLASS  DEVICE  SUMMARY',
      'a   2023-11-14 22:13:20Z  open    major     limit  pump   p1      vibration 9.3 mm/s, at most 7.1 allowed',
    ])
  })

  test('are whole JSON objects, one a line, for scripts', async () => {
    const { json } = await makeLab({ fleet: new Fleet({ incidents }) }).run('incidents', '--json', ...URL_ARGS)
    expect(json).toEqual(incidents)
  })

  test('are picked by state and device', async () => {
    const fleet = new Fleet({ incidents })
    expect((await makeLab({ fleet }).run('incidents', '--json', '--state', 'open', ...URL_ARGS)).json).toEqual([incidents[0]])
    expect((await makeLab({ fleet }).run('incidents', '--json', '--device', 'p2', ...URL_ARGS)).json).toEqual([incidents[1]])
  })

  test('one is shown with its votes', async () => {
    const { stdout } = await makeLab({ fleet: new Fleet({ incidents }) }).run('incidents', 'a', ...URL_ARGS)
    expect(stdout).toContain('limits    vibration  6.5       9.3       – to 7.1')
  })

  test('one shows its numbers by four digits', async () => {
    const votes = [{ detector: 'level', metric: 'vibration', surprise: 6.5, observed: 40.12345678901234, expected: [1.9999999999999998, 3.00000000000004] as const }]
    const { stdout } = await makeLab({ fleet: new Fleet({ incidents: [anIncident({ votes })] }) }).run('incidents', 'i1', ...URL_ARGS)
    expect(stdout).toMatch(/level +vibration +6\.5 +40\.12 +2 to 3\n/)
  })

  test('an unknown one ends with 1', async () => {
    const { code, stderr } = await makeLab({ fleet: new Fleet() }).run('incidents', 'zz', ...URL_ARGS)
    expect(code).toBe(1)
    expect(stderr).toContain("incident 'zz': not known")
  })
})

describe('devices', () => {
  test('are a table for people, no name of theirs steering the terminal', async () => {
    const devices = [aDevice({ id: 'p\u001b[3\u202e', state: 'learning', learning: 0.29, lastSeen: null, metrics: { a: 1.234567, b: true, c: null, d: 4, e: 5 } })]
    const { stdout } = await makeLab({ fleet: new Fleet({ devices }) }).run('devices', ...URL_ARGS)
    expect(stdout).toBe(
      'DEVICE         CLASS  STATE          LAST SEEN  METRICS\np\\x1b[3\\u202e  pump   learning 29 %  –          a=1.2346 b=true c=null d=4 +1\n',
    )
  })

  test('are fetched to the last page', async () => {
    const devices = Array.from({ length: 2500 }, (_, i) => aDevice({ id: `d${i}` }))
    const { json } = await makeLab({ fleet: new Fleet({ devices }) }).run('devices', '--json', ...URL_ARGS)
    expect(json).toEqual(devices)
  })

  test('one is shown by its name, slashes and all', async () => {
    const devices = [aDevice({ id: 'hall 1/p#1' }), aDevice()]
    const { json } = await makeLab({ fleet: new Fleet({ devices }) }).run('devices', 'hall 1/p#1', '--json', ...URL_ARGS)
    expect(json).toEqual([devices[0]])
  })

  test('none yet is said to people and not to scripts', async () => {
    const fleet = new Fleet()
    expect((await makeLab({ fleet }).run('devices', ...URL_ARGS)).stdout).toContain('no devices yet')
    expect((await makeLab({ fleet }).run('devices', '--json', ...URL_ARGS)).stdout).toBe('')
  })
})

describe('quarantine and release', () => {
  test('hand the request over and say its id', async () => {
    const fleet = new Fleet({ devices: [aDevice({ id: 'hall/p1' })] })
    const quarantine = await makeLab({ fleet }).run('quarantine', 'hall/p1', '--for', '10m', '--reason', 'bearing', ...URL_ARGS)
    const release = await makeLab({ fleet }).run('release', 'hall/p1', '--reason', 'mended', ...URL_ARGS)
    expect([quarantine.code, quarantine.stdout]).toEqual([0, 'quarantine of hall/p1 for 10m is asked for: request r1\n'])
    expect([release.code, release.stdout]).toEqual([0, 'release of hall/p1 is asked for: request r1\n'])
    expect(fleet.requests.map(({ kind, device, forMs, reason }) => [kind, device, forMs, reason])).toEqual([
      ['quarantine', 'hall/p1', 600_000, 'bearing'],
      ['release', 'hall/p1', null, 'mended'],
    ])
  })

  test('a length that is none is refused before anything is asked', async () => {
    const { code, stderr } = await makeLab().run('quarantine', 'p1', '--for', 'ever', '--reason', 'x', ...URL_ARGS)
    expect(code).toBe(2)
    expect(stderr).toContain('a duration from 1s to 30d')
  })

  test('an unknown device ends with 1', async () => {
    const { code, stderr } = await makeLab({ fleet: new Fleet() }).run('release', 'p9', '--reason', 'x', ...URL_ARGS)
    expect(code).toBe(1)
    expect(stderr).toContain("device 'p9': not known")
  })

  test('a name that would steer the terminal is escaped in a refusal too', async () => {
    const { stderr } = await makeLab({ fleet: new Fleet() }).run('release', 'p\u202e9', '--reason', 'x', ...URL_ARGS)
    expect(stderr).toContain("device 'p\\u202e9': not known")
  })
})
