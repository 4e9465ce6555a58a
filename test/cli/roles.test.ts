/** Verbs against a Picket of several processes: each is asked for what it has, with the token it wants; and what makes no sense with Kafka. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { RunningPicket, StartPicket } from '../../src/cli/run.ts'
import type { Role } from '../../src/core/role.ts'
import { aDevice, Fleet } from '../api/fleet.ts'
import { aConfig, fetchAmong, makeLab, readerOf } from './lab.ts'

const AT = ['--url', 'http://d1:8080']
const KAFKA = 'listen: { http: 127.0.0.1:0 }\nlog: { kafka: { brokers: [ "k:9092" ] } }\nsources: [ { name: field, mqtt: { url: "mqtt://b" } } ]\n'

function detectors() {
  const [first, second] = [{ partition: 0, owner: 'd1:8080' }, { partition: 1, owner: 'd2:8080' }]
  return {
    'd1:8080': new Fleet({ devices: [aDevice({ id: 'a0' }), aDevice({ id: 'm0' }), aDevice({ id: 'z0' })], elsewhere: [second] }),
    'd2:8080': new Fleet({ devices: [aDevice({ id: 'b1' }), aDevice({ id: 'm0' })], elsewhere: [first] }),
  }
}

describe('picket devices', () => {
  test('lists the devices of every process as one list, by id, each once', async () => {
    const { code, json, stderr } = await makeLab({ fetch: fetchAmong(detectors()) }).run('devices', ...AT, '--json')
    expect([code, stderr]).toEqual([0, ''])
    expect(json.map((one) => (one as { id: string }).id)).toEqual(['a0', 'b1', 'm0', 'z0'])
  })

  test('goes from a process without devices to one that has some', async () => {
    const fleets = { ...detectors(), 'r:8080': new Fleet({ roles: ['respond'], elsewhere: [{ partition: 1, owner: 'd2:8080' }], holders: { 'readings/1': 'd2:8080' } }) }
    const { json } = await makeLab({ fetch: fetchAmong(fleets) }).run('devices', '--url', 'http://r:8080', '--json')
    expect(json).toHaveLength(4)
  })

  test('says which partitions are missing where their process is not known', async () => {
    const fleet = new Fleet({ devices: [aDevice()], elsewhere: [{ partition: 3, owner: null }, { partition: 2, owner: null }] })
    const { code, stdout, stderr } = await makeLab({ fetch: fetchAmong({ 'd1:8080': fleet }) }).run('devices', ...AT)
    expect(code).toBe(0)
    expect(stdout).toContain('p1')
    expect(stderr).toBe('not among these: devices of the partitions 2, 3, whose process is not known\n')
  })

  test('is a failure where another process can not be reached: the list would not be whole', async () => {
    const { 'd1:8080': only } = detectors()
    const { code, stdout, stderr } = await makeLab({ fetch: fetchAmong({ 'd1:8080': only }) }).run('devices', ...AT)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('http://d2:8080')
  })

  test('asks the owner for one device', async () => {
    const { code, stdout } = await makeLab({ fetch: fetchAmong(detectors()) }).run('devices', 'b1', ...AT)
    expect(code).toBe(0)
    expect(stdout).toContain('b1')
  })

  test('names the owner that can not be reached', async () => {
    const { 'd1:8080': only } = detectors()
    const { code, stderr } = await makeLab({ fetch: fetchAmong({ 'd1:8080': only }) }).run('devices', 'b1', ...AT)
    expect(code).toBe(1)
    expect(stderr).toBe("picket: http://d2:8080, which http://d1:8080 names for this, can't be reached from here (ECONNREFUSED); give --url\n")
  })

  test('gives up on processes that send it in a circle', async () => {
    const at = (owner: string) => new Fleet({ elsewhere: [{ partition: 1, owner }] })
    const { code, stderr } = await makeLab({ fetch: fetchAmong({ 'd1:8080': at('d2:8080'), 'd2:8080': at('d1:8080') }) }).run('devices', 'b1', ...AT)
    expect(code).toBe(1)
    expect(stderr).toContain("device 'b1' is of readings/1, which another process works through")
  })
})

describe('picket quarantine', () => {
  test('goes to respond, and says when nobody could look the device up', async () => {
    const respond = new Fleet({ roles: ['respond'], elsewhere: [{ partition: 1, owner: null }] })
    const detect = new Fleet({ roles: ['detect'], holders: { respond: 'r:8080' } })
    const { code, stdout, stderr } = await makeLab({ fetch: fetchAmong({ 'd1:8080': detect, 'r:8080': respond }) }).run('quarantine', 'b1', '--for', '5m', '--reason', 'smoke', ...AT)
    expect([code, stdout]).toEqual([0, 'quarantine of b1 for 5m is asked for: request r1\n'])
    expect(stderr).toBe('no process that would know b1 could be asked: look whether the name is right\n')
    expect(respond.requests).toMatchObject([{ device: 'b1' }])
  })
})

describe('the token', () => {
  const token = '0123456789abcdef'
  const lab = () => makeLab({ fetch: fetchAmong({ '127.0.0.1:8080': new Fleet({ devices: [aDevice()] }) }, token) })
  const local = ['--url', 'http://127.0.0.1:8080']

  test('is that of --token, of the environment, or of the config', async () => {
    expect((await lab().run('devices', ...local, '--token', token)).code).toBe(0)
    expect((await lab().run('devices', '--config', aConfig(`auth: { api: { token: "${token}" } }\n`))).code).toBe(0)
    vi.stubEnv('PICKET_TOKEN', token)
    onTestFinished(() => void vi.unstubAllEnvs())
    expect((await lab().run('devices', ...local)).code).toBe(0)
  })

  test('that is missing is a failure that says where to give it', async () => {
    const { code, stderr } = await lab().run('devices', ...local)
    expect(code).toBe(1)
    expect(stderr).toContain('picket takes it from its config, --token or PICKET_TOKEN')
  })

  test('of a config with --url is not sent, as it may be of another Picket', async () => {
    expect((await lab().run('devices', ...local, '--config', aConfig(`auth: { api: { token: "${token}" } }\n`))).code).toBe(1)
  })
})

describe('with the log in Kafka', () => {
  test.each(['backup', 'restore'])('picket %s is refused, with what to do instead', async (verb) => {
    const { code, stderr } = await makeLab().run(verb, 'monday', '--config', aConfig(KAFKA))
    expect(code).toBe(2)
    expect(stderr).toContain(`log.kafka: picket ${verb} is for the folder of log.embedded`)
  })

  test('log read opens it by the config, and wants the secrets of the log only', async () => {
    const secret = KAFKA.replace('sources', 'notify: [ { webhook: { url: "https://h/", secret: "${PICKET_TEST_UNSET}" } } ]\nsources')
    const { code, stdout } = await makeLab({ reader: readerOf('requests', [[{ key: 'p1', value: Buffer.from('{}') }]]) }).run('log', 'read', 'requests', '--config', aConfig(secret), '--json')
    expect(code).toBe(0)
    expect(stdout).toContain('"key":"p1"')
    const sasl = KAFKA.replace(' } }', ', sasl: { username: u, password: "${PICKET_TEST_UNSET}" } } }')
    expect((await makeLab().run('log', 'read', 'requests', '--config', aConfig(sasl))).stderr).toContain('log.kafka.sasl.password: needs the environment variable PICKET_TEST_UNSET')
  })

  test('check says the roles, the brokers and the sources', async () => {
    const { code, stdout } = await makeLab().run('check', '--config', aConfig(KAFKA), '--set', 'roles=[detect]')
    expect(code).toBe(0)
    expect(stdout).toContain('\nlisten      HTTP 127.0.0.1:0\nroles       detect\nlog         Kafka at k:9092, topics picket.…, 12 partitions\nsource      field at mqtt://b: telemetry/{class}/{device}')
  })
})

describe('picket run --roles', () => {
  const started = async (...args: readonly string[]) => {
    const roles: (readonly Role[])[] = []
    const start: StartPicket = async (config) => {
      roles.push(config.roles)
      throw new Error('enough')
    }
    const { code, stderr } = await makeLab({ start }).run('run', '--log-level', 'silent', ...args)
    return { code, stderr, roles }
  }

  test('goes before those of the config', async () => {
    expect((await started('--config', aConfig(`${KAFKA}roles: [ ingest ]\n`), '--roles', 'detect,respond')).roles).toEqual([['detect', 'respond']])
  })

  test('is refused where it names what is no role, or the log is one of one process', async () => {
    expect(await started('--config', aConfig(KAFKA), '--roles', 'detekt')).toMatchObject({ code: 2, roles: [], stderr: expect.stringContaining('--set roles: roles.0: is "detekt"; allowed: one of ingest, detect, respond') })
    expect(await started('--config', aConfig(), '--roles', 'detect')).toMatchObject({ code: 2, stderr: expect.stringContaining('roles need log.kafka') })
  })
})

test('a demonstration is refused where there is no broker to connect to', async () => {
  const start: StartPicket = async () => ({ app: new Fleet(), mqtt: null, reload: async () => null, stop: async () => undefined }) satisfies RunningPicket
  const { code, stderr } = await makeLab({ start }).run('demo', '--set', 'listen.http=127.0.0.1:0', '--set', 'listen.mqtt=127.0.0.1:0')
  expect([code, stderr]).toEqual([1, 'picket: the demonstration is of a Picket with a broker of its own: sources needs embedded: true\n'])
})
