/** What a config says of Kafka, MQTT brokers, roles and secrets: as it is taken, and as it is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Config, loadConfig } from '../../src/config/config.ts'

const KAFKA = 'log: { kafka: { brokers: [ "kafka:9092" ] } }'
const FIELD = 'sources: [ { name: field, mqtt: { url: "mqtt://broker" } } ]'

function load(text: string, environment: Record<string, string> = {}): Config {
  return loadConfig({ file: 'my.yaml', text, environment })
}

function refusal(text: string, environment: Record<string, string> = {}): string[] {
  try {
    load(text, environment)
  } catch (error) {
    return (error as Error).message.split('\n').map((line) => line.replace(/^my\.yaml:\d+:\d+: /, ''))
  }
  return []
}

/** The path of a file with this content, gone after the test. */
function aFile(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'picket-secret-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'secret'), content)
  return join(folder, 'secret')
}

describe('the example for Kafka', () => {
  it('is good as it ships, and has no remarks', () => {
    const { log, sources, remarks } = loadConfig({ file: 'config/kafka.yaml', environment: {} })
    expect(log.kafka).toMatchObject({ brokers: ['127.0.0.1:9092'], partitions: 12, prefix: 'picket.', replication: 3, minInSync: 2 })
    expect(sources).toMatchObject([{ name: 'field', embedded: false, mqtt: { url: 'mqtt://127.0.0.1:1883', version: 5 } }])
    expect(remarks).toEqual([])
  })

  it.each(['ingest', 'detect', 'respond'])('is good for a process with the role %s alone', (role) => {
    expect(loadConfig({ file: 'config/kafka.yaml', set: [`roles=[${role}]`], environment: {} }).roles).toEqual([role])
  })
})

describe('log.kafka', () => {
  it('has defaults for all but its brokers', () => {
    expect(load(KAFKA).log).toEqual({
      embedded: null,
      kafka: {
        brokers: ['kafka:9092'],
        partitions: 12,
        prefix: 'picket.',
        replication: 3,
        minInSync: 2,
        compression: 'lz4',
        tls: null,
        sasl: null,
        retention: { size: 8 * 1024 ** 3, age: 7 * 86_400_000 },
      },
      frame: { messages: 4_096 },
    })
  })

  it('takes the system’s certificates or files for TLS', () => {
    expect(load('log: { kafka: { brokers: [ "k:1" ], tls: true } }').log.kafka?.tls).toEqual({ ca: null, cert: null, key: null })
    expect(load('log: { kafka: { brokers: [ "k:1" ], tls: { ca: a.pem } } }').log.kafka?.tls).toEqual({ ca: 'a.pem', cert: null, key: null })
  })

  it.each([
    ['log: { embedded: {}, kafka: { brokers: [ "k:1" ] } }', 'log.kafka: is given beside log.embedded; allowed: one of them (--set log.embedded=null leaves the other out)'],
    ['log: { kafka: { brokers: [ "k:1" ], replication: 1 } }', 'log.kafka.minInSync: is 2; allowed: at most log.kafka.replication, which is 1'],
    ['log: { kafka: { brokers: [ "k:1" ], tls: { cert: c } } }', 'log.kafka.tls.cert: is given without key; allowed: both'],
    ['log: { kafka: { brokers: [ "k:1" ], tls: { key: c } } }', 'log.kafka.tls.key: is given without cert; allowed: both'],
    ['log: { kafka: { brokers: [ "k:1" ], tls: yes } }', 'log.kafka.tls: is "yes"; allowed: true, or a mapping with the keys ca, cert, key'],
    ['log: { kafka: { brokers: [ "k:0" ] } }', 'log.kafka.brokers.0: is "k:0"; allowed: host:port with a port from 1 to 65535, such as kafka:9092'],
    ['log: { kafka: { brokers: [ "k:1" ], partitions: 1025 } }', 'log.kafka.partitions: is 1025; allowed: a whole number from 1 to 1024'],
    ['log: { kafka: { brokers: [ "k:1" ], prefix: "a/b" } }', 'log.kafka.prefix: is "a/b"; allowed: at most 64 letters, digits, ., _ and -'],
    ['log: { kafka: { brokers: [ "k:1" ], compression: snappy } }', 'log.kafka.compression: is "snappy"; allowed: one of none, gzip, lz4, zstd'],
    ['log: { kafka: {} }', 'log.kafka.brokers: is missing; allowed: a list of 1 to 64 brokers'],
    ['log: { frame: { messages: 4097 } }', 'log.frame.messages: is 4097; allowed: a whole number from 1 to 4096'],
  ])('names key, value and what is allowed: %s', (text, line) => {
    expect(refusal(text)).toEqual([line])
  })
})

describe('sources with mqtt', () => {
  it('have defaults for all but the URL, with either log', () => {
    const [source] = load(FIELD).sources
    expect(source).toMatchObject({ name: 'field', embedded: false, device: '{device}' })
    expect(source?.mqtt).toEqual({
      url: 'mqtt://broker', version: 5, username: null, password: null, clientId: null, window: 1_000, tls: null, share: null, identityProperty: null,
    })
    expect(load(`${KAFKA}\n${FIELD}`).sources[0]).toEqual(source)
  })

  const at = (mqtt: string, more = '') => `sources: [ { name: field, mqtt: { ${mqtt} }${more} } ]`

  it.each([
    [at('url: "http://b"'), 'sources.0.mqtt.url: is "http://b"; allowed: a URL with one of the schemes mqtt, mqtts, ws, wss'],
    [at('url: "mqtt://u:p@b"'), 'sources.0.mqtt.url: is "mqtt://b"; allowed: a URL without user and password; username and password are keys of their own'],
    [at('url: "mqtt://b", tls: {}'), 'sources.0.mqtt.tls: is given, but url is mqtt; allowed: with mqtts and wss'],
    [at('url: "ws://b", tls: { ca: f }'), 'sources.0.mqtt.tls: is given, but url is ws; allowed: with mqtts and wss'],
    [at('url: "mqtts://b", tls: { cert: f }'), 'sources.0.mqtt.tls.cert: is given without key; allowed: both'],
    [at('url: "mqtt://b", window: 65536'), 'sources.0.mqtt.window: is 65536; allowed: a whole number from 1 to 65535'],
    [at('url: "mqtt://b", version: 4'), 'sources.0.mqtt.version: is 4; allowed: 5 or 3.1.1'],
    [at('url: "mqtt://b", version: 3.1.1, identity: { property: p }'), 'sources.0.mqtt.identity: is given with version 3.1.1; allowed: with version 5, which has user properties'],
    [at('url: "mqtt://b", password: hunter2'), 'sources.0.mqtt.password: is given without username; allowed: both'],
    [at('url: "mqtt://b"', ', embedded: true'), 'sources.0.mqtt: is given beside embedded: true; allowed: one of them'],
    ['sources: [ { name: field } ]', 'sources.0: is field, which has neither; allowed: one of embedded: true, mqtt'],
    ['sources: [ { name: a, embedded: true }, { name: b, embedded: true } ]', 'sources.1.embedded: is the second; allowed: one with embedded: true'],
    [
      'sources: [ { name: a, mqtt: { url: "mqtt://b", clientId: c } }, { name: b, mqtt: { url: "mqtt://b", clientId: c } } ]',
      'sources.1.mqtt.clientId: is c, as that of a at the same broker, which would throw one of them out; allowed: another',
    ],
    [
      at('url: "mqtt://b", share: g', ', topics: [ { pattern: "a/{device}", time: { field: ts } }, "b/{device}" ]'),
      'sources.0.mqtt.share: is given, but topic b/{device} does not say time, which tells what is late; allowed: topics that do, such as { pattern: …, time: { field: ts } }',
    ],
  ])('names key, value and what is allowed: %s', (text, line) => {
    expect(refusal(text)).toEqual([line])
  })

  it.each([
    ['a share whose topics all say time', at('url: "mqtt://b", share: g', ', topics: [ { pattern: "a/{device}", time: { field: ts } } ]')],
    ['one client id at two brokers', 'sources: [ { name: a, mqtt: { url: "mqtt://b", clientId: c } }, { name: b, mqtt: { url: "mqtt://d", clientId: c } } ]'],
    ['a TLS section with wss', at('url: "wss://b/mqtt", tls: { ca: f }')],
    ['no credentials for devices that connect elsewhere', `listen: { mqtt: 0.0.0.0:1883 }\n${FIELD}`],
  ])('may be %s', (_, text) => {
    expect(refusal(text)).toEqual([])
  })
})

describe('roles', () => {
  it.each([
    ['roles: [ ingest, detect ]', 'roles: are ingest, detect; roles need log.kafka: the embedded log lives in one process; allowed without it: ingest, detect, respond'],
    [
      `${KAFKA}\nroles: [ respond ]`,
      'roles: are respond; source embedded is the broker inside the ingest process, through which respond reaches its devices; allowed: ingest too, or a source with mqtt',
    ],
    [
      `${KAFKA}\nroles: [ ingest ]`,
      'roles: are ingest; source embedded is the broker inside the ingest process, through which respond reaches its devices; allowed: respond too, or a source with mqtt',
    ],
  ])('refuse %s', (text, line) => {
    expect(refusal(text)).toEqual([line])
  })

  it.each([
    ['all of them beside an embedded broker', KAFKA],
    ['ingest and respond beside an embedded broker', `${KAFKA}\nroles: [ ingest, respond ]`],
    ['detect alone, whatever the sources', `${KAFKA}\nroles: [ detect ]`],
    ['each alone where brokers are elsewhere', `${KAFKA}\n${FIELD}\nroles: [ respond ]`],
    ['ingest alone with an open door, as nothing is behind it', `listen: { http: 0.0.0.0:80 }\n${KAFKA}\n${FIELD}\nroles: [ ingest ]`],
  ])('may be %s', (_, text) => {
    expect(refusal(text)).toEqual([])
  })
})

describe('${file:PATH}', () => {
  const token = (reference: string) => `auth: { api: { token: "${reference}" } }`

  it('is the content of the file, without its last line end', () => {
    expect(load(token(`\${file:${aFile('0123456789abcdef\n')}}`)).auth.apiToken).toBe('0123456789abcdef')
    expect(load(token(`\${file:${aFile('0123456789abcdef\r\n')}}`)).auth.apiToken).toBe('0123456789abcdef')
  })

  it('may stand beside text and variables, in names of users too', () => {
    const text = `log: { kafka: { brokers: [ "k:1" ], sasl: { username: "\${WHO}-1", password: "a\${file:${aFile('b')}}c" } } }`
    expect(load(text, { WHO: 'detect' }).log.kafka?.sasl).toEqual({ mechanism: 'scram-sha-512', username: 'detect-1', password: 'abc' })
  })

  it('names key and path of a file that can’t be had, and nothing of its content', () => {
    expect(refusal(token('${file:/no/such}'))).toEqual(["auth.api.token: needs the file /no/such, which can't be read (ENOENT)"])
    expect(refusal(token(`\${file:${aFile('\n')}}`))[0]).toMatch(/^auth\.api\.token: needs the file .*, which is empty$/)
    expect(refusal(token(`\${file:${aFile('x'.repeat(65_537))}}`))[0]).toMatch(/^auth\.api\.token: needs the file .*, which has more than 65536 bytes/)
    const [short] = refusal(token(`\${file:${aFile('hunter2')}}`))
    expect(short).toBe('auth.api.token: is (not shown); allowed: 16 to 512 visible ASCII characters, or ${NAME}')
  })
})

describe('secrets', () => {
  const ALL = `${KAFKA.replace(' } }', ', sasl: { username: "${KAFKA_USER}", password: k } } }')}
sources: [ { name: field, mqtt: { url: "mqtt://b", username: "\${MQTT_USER}", password: p } } ]
notify: [ { webhook: { url: "https://h/", secret: "\${HOOK}" } } ]
auth: { api: { token: "\${API_TOKEN}" } }
`
  it.each([
    ['ingest', ['KAFKA_USER', 'MQTT_USER']],
    ['detect', ['KAFKA_USER', 'API_TOKEN']],
    ['respond', ['KAFKA_USER', 'MQTT_USER', 'HOOK', 'API_TOKEN']],
  ])('a process with the role %s needs are its own alone', (role, names) => {
    const lines = refusal(`${ALL}roles: [ ${role} ]`)
    expect(lines.map((line) => /variable (\w+),/.exec(line)?.[1])).toEqual(names)
  })

  it('of the log alone are needed by who reads it', () => {
    expect(() => loadConfig({ file: 'f', text: ALL, environment: {}, unsetSecrets: 'refuse-in-log' })).toThrow(/^f:\S+ log\.kafka\.sasl\.username: [^\n]*$/)
  })
})
