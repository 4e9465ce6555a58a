/** The service as three processes would run it, a role each under users of its own, on a real Kafka and Mosquitto that let nobody do more than docs/operations.md says. */
import { readFileSync } from 'node:fs'
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, logLevel, ResourcePatternTypes, type Admin, type AclEntry } from 'kafkajs'
import mqtt from 'mqtt'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKafkaReader } from '../../src/adapters.ts'
import { runPicket } from '../../src/cli/service.ts'
import { loadConfig } from '../../src/config/config.ts'
import type { Role } from '../../src/core/role.ts'
import { decodeIncidentRecord } from '../../src/log/revision.ts'
import { systemClock } from '../../src/ops/clock.ts'
import { makePrometheus } from '../../src/ops/prometheus.ts'
import { systemRandom } from '../../src/ops/random.ts'
import { startPicket } from '../../src/start.ts'
import { makeLab, MemoryHost } from '../cli/lab.ts'
import { keepingLogger, type Line } from '../ingest/lab.ts'
import { KAFKA_USERS } from '../parts/kafka-doors.ts'
import { type KafkaOfSuite, withKafka, withMosquitto } from '../parts/suites.ts'

const MQTT_USERS = { 'picket-ingest': 'ingest-pw', 'picket-respond': 'respond-pw', p1: 'p1-pw', p2: 'p2-pw' }
const MQTT_ACL = `
user picket-ingest
topic read telemetry/#

user picket-respond
topic write picket/+/command
topic write picket/+/desired
topic read picket/+/ack

pattern write telemetry/+/%u
pattern write picket/%u/ack
pattern read picket/%u/command
pattern read picket/%u/desired
`

const OPERATIONS: Readonly<Record<string, AclOperationTypes>> = {
  Describe: AclOperationTypes.DESCRIBE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
  Create: AclOperationTypes.CREATE,
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
}
const RESOURCES: Readonly<Record<string, AclResourceTypes>> = {
  topic: AclResourceTypes.TOPIC,
  group: AclResourceTypes.GROUP,
  'transactional id': AclResourceTypes.TRANSACTIONAL_ID,
}

/** What docs/operations.md says each role may do in Kafka, as ACLs of the users named after the roles. */
function documentedAcls(prefix: string): AclEntry[] {
  const rows = readFileSync('docs/operations.md', 'utf8').matchAll(/^\| (all|ingest|detect|respond) \| (topic|group|transactional id) \| ([^|]+) \| ([^|]+) \|$/gm)
  return [...rows].flatMap(([, role, resource, names, operations]) =>
    (role === 'all' ? ['ingest', 'detect', 'respond'] : [role!]).flatMap((user) =>
      names!.split(', ').flatMap((name) =>
        operations!.split(', ').map((operation) => ({
          resourceType: RESOURCES[resource!]!,
          resourceName: name.trim().replace(/^P/, prefix).replace('…', ''),
          resourcePatternType: name.trim().endsWith('…') ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
          principal: `User:${user}`,
          host: '*',
          operation: OPERATIONS[operation.trim()]!,
          permissionType: AclPermissionTypes.ALLOW,
        })),
      ),
    ),
  )
}

async function until<T>(what: string, look: () => Promise<T | null | undefined | false>): Promise<T> {
  for (const end = performance.now() + 40_000; performance.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const found = await look().catch(() => null)
    if (found) return found
  }
  throw new Error(`not seen within 40 s: ${what}`)
}

interface Running {
  readonly url: string
  readonly lines: readonly Line[]
  readonly greeting: () => string
  readonly stop: () => Promise<unknown>
}

function configFor(role: Role, prefix: string, kafka: KafkaOfSuite, mqttPort: number) {
  const environment: Record<string, string> = { KAFKA_USER: role, KAFKA_PASSWORD: KAFKA_USERS[role] }
  // Detect has none: it needs no MQTT.
  if (role !== 'detect') Object.assign(environment, { MQTT_USER: `picket-${role}`, MQTT_PASSWORD: MQTT_USERS[`picket-${role}`] })
  const text = `
listen: { http: 127.0.0.1:0 }
log:
  kafka:
    brokers: ["${kafka.doors!.sasl}"]
    prefix: ${prefix}
    partitions: 4
    replication: 1
    minInSync: 1
    sasl: { mechanism: scram-sha-256, username: "\${KAFKA_USER}", password: "\${KAFKA_PASSWORD}" }
sources: [ { name: field, mqtt: { url: "mqtt://127.0.0.1:${mqttPort}", username: "\${MQTT_USER}", password: "\${MQTT_PASSWORD}" } } ]
classes: { pump: { metrics: { vibration: { above: 7.1, severity: critical } } } }
`
  return loadConfig({ file: 'roles.yaml', text, set: [`roles=[${role}]`], environment })
}

function run(config: ReturnType<typeof configFor>): Promise<Running> {
  const host = new MemoryHost()
  const { io, printed } = makeLab({ host, clock: systemClock })
  const { logger, lines } = keepingLogger()
  const metrics = makePrometheus({ processMetrics: false })
  const ended = runPicket({ ...io, random: systemRandom, fetch }, config, { metrics, logger: { ...logger, flush: () => undefined }, start: startPicket })
  const failed = ended.then(() => Promise.reject(new Error('it ended')))
  const stop = () => {
    host.signal('SIGTERM')
    return ended
  }
  const greeted = until('the greeting', async () => /http:\/\/[^/]+/.exec(printed.stdout)?.[0])
  return Promise.race([failed, greeted]).then((url) => ({ url, lines, greeting: () => printed.stdout, stop }))
}

withKafka('three roles under their own users', (kafka) => {
  withMosquitto('', { users: MQTT_USERS, acl: MQTT_ACL }, (mosquitto) => {
    const prefix = `roles-${systemRandom.id()}.`
    let admin: Admin
    beforeAll(async () => {
      admin = new Kafka({ clientId: 'roles-test', brokers: [...kafka.brokers], logLevel: logLevel.NOTHING }).admin()
      await admin.connect()
      await admin.createAcls({ acl: documentedAcls(prefix) })
    })
    afterAll(async () => {
      if (!admin) return
      const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix))
      if (topics.length > 0) await admin.deleteTopics({ topics })
      await admin.deleteAcls({ filters: documentedAcls(prefix) })
      await admin.disconnect()
    })

    test('a reading becomes a command, its answer an outcome; each process says what it has, and ends well', { timeout: 120_000 }, async () => {
      const roles = ['ingest', 'detect', 'respond'] as const
      const [ingest, detect, respond] = await Promise.all(roles.map((role) => run(configFor(role, prefix, kafka, mosquitto().port))))
      for (const one of [ingest!, detect!, respond!]) await until(`ready: ${one.greeting()}`, async () => (await fetch(`${one.url}/readyz`)).ok)

      const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${mosquitto().port}`, { clientId: 'p1', username: 'p1', password: MQTT_USERS.p1 })
      device.on('message', (_topic, payload) => {
        const { id, generation, reply } = JSON.parse(payload.toString()) as { id: string; generation: number; reply: string }
        device.publish(reply, JSON.stringify({ v: 1, id, generation, status: 'done', reason: '' }), { qos: 1 })
      })
      await device.subscribeAsync('picket/p1/command', { qos: 1 })
      for (const vibration of [3, 12]) await device.publishAsync('telemetry/pump/p1', JSON.stringify({ vibration }), { qos: 1 })

      await until('the command was done', async () => (await (await fetch(`${respond!.url}/metrics`)).text()).includes('picket_commands_total{kind="quarantine",outcome="done"} 1'))
      const { incidents } = (await (await fetch(`${respond!.url}/api/v1/incidents`)).json()) as { incidents: unknown[] }
      expect(incidents).toMatchObject([{ device: 'p1', cause: 'limit', state: 'open' }])
      await until('the device is shown quarantined', async () => (await (await fetch(`${detect!.url}/api/v1/devices/p1`)).text()).includes('"state":"quarantined"'))
      for (const [url, path] of [[ingest, 'devices'], [detect, 'incidents'], [respond, 'devices/p1']] as const) expect((await fetch(`${url!.url}/api/v1/${path}`)).status).toBe(421)
      device.end()

      const config = configFor('respond', prefix, kafka, mosquitto().port)
      const reader = await openKafkaReader(config.log.kafka!, config, { clock: systemClock, random: systemRandom })
      const slices = await Promise.all([0, 1, 2, 3].map((partition) => reader.read('incidents', partition, 0, 100)))
      const kinds = slices.flatMap((slice) => slice?.records ?? []).map(({ value }) => decodeIncidentRecord(value!).kind)
      expect(kinds.filter((kind) => kind === 'revision')).toHaveLength(1)
      await expect(reader.read('readings', 0, 0, 1)).rejects.toMatchObject({ code: 'UNAUTHORIZED', message: expect.stringContaining(`${prefix}readings`) })
      await reader.close()

      for (const one of [ingest!, detect!, respond!]) await one.stop()
      expect(await mosquitto().log()).not.toContain('picket-detect')
      const said = [ingest!, detect!, respond!].flatMap(({ lines }) => lines.map(({ message }) => message))
      expect(said.filter((line) => /can not|refused|denied|failed|trying again/.test(line))).toEqual([])
    })
  })
}, { needsDoors: true, versions: ['4.4.0'] })
