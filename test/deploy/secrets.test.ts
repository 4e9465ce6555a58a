/** What makes the secrets of the composition, run as it is run there but for its owners: files with what each reader needs. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { connectAsync } from 'mqtt'
import { describe, expect, it, onTestFinished } from 'vitest'
import { drawFleet } from '../../src/fleet/demo-fleet.ts'
import { parseCredentials } from '../../src/ingest/credentials.ts'
import { withMosquitto } from '../parts/suites.ts'

/** Stands in for the image: of Picket it needs the names of the fleet. */
function aFolder() {
  const root = mkdtempSync(join(tmpdir(), 'picket-secrets-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const picket = join(root, 'picket')
  mkdirSync(join(picket, 'dist/fleet'), { recursive: true })
  const members = drawFleet(0).devices.map(({ member }) => ({ member: { id: member.id } }))
  writeFileSync(join(picket, 'dist/package.json'), '{"type":"module"}')
  writeFileSync(join(picket, 'dist/fleet/demo-fleet.js'), `export const drawFleet = () => ({ devices: ${JSON.stringify(members)} })\n`)
  const secrets = join(root, 'secrets')
  const run = (...args: readonly string[]) =>
    execFileSync(process.execPath, ['deploy/init/secrets.mjs', ...args], { encoding: 'utf8', stdio: 'pipe', env: { ...process.env, SECRETS: secrets, PICKET: picket, ACL: resolve('deploy/mosquitto/acl') } })
  return { run, secrets, read: (file: string) => readFileSync(join(secrets, file), 'utf8') }
}

const verifies = async (text: string, user: string, password: string) => (await parseCredentials(text, 'passwords').verify(user, Buffer.from(password))) !== null

describe('the secrets', () => {
  it('are what each reader logs in with', async () => {
    const { run, read } = aFolder()
    run()
    const passwords = read('mosquitto/passwords')
    expect(await verifies(passwords, 'picket-ingest', read('ingest/mqtt'))).toBe(true)
    expect(await verifies(passwords, 'picket-respond', read('respond/mqtt'))).toBe(true)
    expect(await verifies(passwords, 'health', read('mosquitto/health'))).toBe(true)
    for (const role of ['ingest', 'detect', 'respond']) expect(read('kafka/jaas.conf')).toContain(`user_picket-${role}="${read(`${role}/kafka`)}"`)
    const [device, password] = read('fleet/devices').split('\n')[0]!.split(':') as [string, string]
    expect(await verifies(passwords, device, password)).toBe(true)
  })

  it('are long, and each another', () => {
    const { run, read } = aFolder()
    run()
    const all = ['ingest/mqtt', 'respond/mqtt', 'ingest/kafka', 'detect/kafka', 'respond/kafka', 'kafka-admin/kafka', 'respond/api', 'mosquitto/health'].map(read)
    expect(new Set(all).size).toBe(all.length)
    for (const one of all) expect(one).toMatch(/^[\w-]{32}$/)
  })

  it('are nobody’s but their reader’s, and detect’s have no part in MQTT', () => {
    const { run, secrets } = aFolder()
    run()
    expect(readdirSync(join(secrets, 'detect')).toSorted()).toEqual(['api', 'kafka'])
    for (const file of ['ingest/mqtt', 'mosquitto/passwords', 'mosquitto/acl']) expect(statSync(join(secrets, file)).mode & 0o777).toBe(0o400)
  })

  it('stay as they are at the next start', () => {
    const { run, read } = aFolder()
    run()
    const before = [read('ingest/mqtt'), read('mosquitto/passwords'), read('kafka/jaas.conf')]
    expect(run()).toBe('secrets are there\n')
    expect([read('ingest/mqtt'), read('mosquitto/passwords'), read('kafka/jaas.conf')]).toEqual(before)
  })

  it('are made anew where a start was cut off before the last of them', () => {
    const { run, secrets, read } = aFolder()
    run()
    rmSync(join(secrets, 'kept/passwords'))
    rmSync(join(secrets, 'ingest/mqtt'))
    expect(run()).toBe('secrets made\n')
    expect(existsSync(join(secrets, 'ingest/mqtt'))).toBe(true)
    expect(read('ingest/mqtt')).toMatch(/^[\w-]{32}$/)
  })
})

describe('a device of your own', () => {
  it('gets a password that lets it in, and leaves the others theirs', async () => {
    const { run, read } = aFolder()
    run()
    const others = read('mosquitto/passwords')
    const password = run('device', 'pump-x').trimEnd()
    expect(await verifies(read('mosquitto/passwords'), 'pump-x', password)).toBe(true)
    expect(read('mosquitto/passwords').startsWith(others)).toBe(true)
    const another = run('device', 'pump-x').trimEnd()
    expect(await verifies(read('mosquitto/passwords'), 'pump-x', another)).toBe(true)
    expect(await verifies(read('mosquitto/passwords'), 'pump-x', password)).toBe(false)
  })

  it('may not be called what the broker’s files or rights read otherwise, nor as one of Picket’s own', () => {
    const { run } = aFolder()
    run()
    for (const name of ['', 'a b', 'a:b', 'a/b', 'a+', '#', '$SYS', 'picket-ingest', 'health']) expect(() => run('device', name), name).toThrow(/secrets: /)
  })
})

const USERS = { 'picket-ingest': 'a', 'picket-respond': 'b', 'pump-1': 'c', 'pump-2': 'd', health: 'e' }

withMosquitto('the rights of the broker', { users: USERS, acl: readFileSync('deploy/mosquitto/acl', 'utf8') }, (mosquitto) => {
  const connect = (username: keyof typeof USERS) => {
    const id = `${username}-${Math.random().toString(36).slice(2)}`
    return connectAsync(`mqtt://127.0.0.1:${mosquitto().port}`, { username, password: USERS[username], clientId: id, protocolVersion: 5, reconnectPeriod: 0 })
  }

  /** Whether what `from` publishes there is allowed. */
  const mayPublish = async (from: keyof typeof USERS, topic: string): Promise<boolean> => {
    const client = await connect(from)
    try {
      return await client.publishAsync(topic, '{}', { qos: 1 }).then(() => true, () => false)
    } finally {
      await client.endAsync(true)
    }
  }

  /** Whether `to`, listening to `filter`, hears what `from` publishes at `topic`; after it comes a message that anyone of these may hear. */
  const hears = async (to: keyof typeof USERS, filter: string, from: keyof typeof USERS, topic: string): Promise<boolean> => {
    const listener = await connect(to)
    const speaker = await connect(from)
    try {
      const heard: string[] = []
      listener.on('message', (at) => void heard.push(at))
      await listener.subscribeAsync(filter, { qos: 1 })
      await speaker.publishAsync(topic, '{}', { qos: 1 })
      // The broker answers in order: what was to come has come before this.
      await listener.subscribeAsync('nothing/here', { qos: 1 }).catch(() => undefined)
      return heard.includes(topic)
    } finally {
      await Promise.all([listener.endAsync(true), speaker.endAsync(true)])
    }
  }

  it('let a device speak under its own name only', async () => {
    expect(await mayPublish('pump-1', 'telemetry/pump/pump-1')).toBe(true)
    expect(await mayPublish('pump-1', 'telemetry/pump/pump-1/vibration')).toBe(true)
    expect(await mayPublish('pump-1', 'picket/pump-1/ack')).toBe(true)
    for (const topic of ['telemetry/pump/pump-2', 'picket/pump-2/ack', 'picket/pump-1/command', 'picket/pump-1/desired', 'other']) expect(await mayPublish('pump-1', topic), topic).toBe(false)
  })

  it('let a device hear what is for itself only', async () => {
    expect(await hears('pump-1', 'picket/pump-1/command', 'picket-respond', 'picket/pump-1/command')).toBe(true)
    expect(await hears('pump-2', 'picket/+/command', 'picket-respond', 'picket/pump-1/command')).toBe(false)
    expect(await hears('pump-2', '#', 'pump-1', 'telemetry/pump/pump-1')).toBe(false)
  })

  it('let ingest hear what is measured, and say nothing', async () => {
    expect(await hears('picket-ingest', 'telemetry/#', 'pump-1', 'telemetry/pump/pump-1')).toBe(true)
    expect(await hears('picket-ingest', 'picket/+/ack', 'pump-1', 'picket/pump-1/ack')).toBe(false)
    for (const topic of ['telemetry/pump/pump-1', 'picket/pump-1/command', 'picket/pump-1/desired', 'picket/pump-1/ack']) expect(await mayPublish('picket-ingest', topic), topic).toBe(false)
  })

  it('let respond command and hear answers, and measure nothing', async () => {
    expect(await mayPublish('picket-respond', 'picket/pump-1/command')).toBe(true)
    expect(await mayPublish('picket-respond', 'picket/pump-1/desired')).toBe(true)
    expect(await hears('picket-respond', 'picket/+/ack', 'pump-1', 'picket/pump-1/ack')).toBe(true)
    expect(await hears('picket-respond', 'telemetry/#', 'pump-1', 'telemetry/pump/pump-1')).toBe(false)
    expect(await mayPublish('picket-respond', 'telemetry/pump/pump-1')).toBe(false)
  })
})
