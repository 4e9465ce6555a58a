/**
 * Gives each role of docker-compose.yml its rights in Kafka, as the user `admin`: what it needs, and nothing else. Run in the image of Picket; then it waits for SIGTERM.
 * For a Kafka of your own the same table stands in docs/operations.md.
 */
import { createRequire } from 'node:module'
import { readFileSync, writeFileSync } from 'node:fs'

const { Kafka, AclOperationTypes: Can, AclPermissionTypes, AclResourceTypes: On, ResourcePatternTypes: Named, logLevel } = createRequire('/picket/package.json')('kafkajs')

const PREFIX = 'picket.'
const BROKERS = (process.env.KAFKA_BROKERS ?? 'kafka:9092').split(',')
/** A Kafka that has just started says for a while that it is not ready. */
const TRIES = 30
const PAUSE_MS = 1000

const topics = (operation, ...names) => names.map((name) => ({ on: On.TOPIC, name: PREFIX + name, named: Named.LITERAL, operation }))
const beginning = (on, name, ...operations) => operations.map((operation) => ({ on, name: PREFIX + name, named: Named.PREFIXED, operation }))

/** Every role makes topics that are missing, and checks those that are there. */
const ALL = [...beginning(On.TOPIC, '', Can.DESCRIBE, Can.DESCRIBE_CONFIGS, Can.CREATE), ...beginning(On.GROUP, '', Can.DESCRIBE)]

const ROLES = {
  'picket-ingest': [
    ...topics(Can.READ, 'readings', 'leaders'),
    ...topics(Can.WRITE, 'readings', 'dead-letters'),
    ...beginning(On.GROUP, 'leader-source-', Can.READ),
  ],
  'picket-detect': [
    ...topics(Can.READ, 'readings', 'state', 'incidents'),
    ...topics(Can.WRITE, 'state', 'incidents'),
    ...beginning(On.GROUP, 'detect', Can.READ),
    ...beginning(On.TRANSACTIONAL_ID, 'detect-', Can.DESCRIBE, Can.WRITE),
  ],
  // It writes its control records to the readings, and may not read them.
  'picket-respond': [
    ...topics(Can.READ, 'incidents', 'requests', 'leases', 'actions', 'leaders'),
    ...topics(Can.WRITE, 'leases', 'actions', 'requests', 'readings'),
    ...beginning(On.GROUP, 'leader-respond', Can.READ),
    ...beginning(On.TRANSACTIONAL_ID, 'leader-respond', Can.DESCRIBE, Can.WRITE),
  ],
}

const acl = Object.entries(ROLES).flatMap(([user, rights]) =>
  [...ALL, ...rights].map(({ on, name, named, operation }) => ({
    resourceType: on,
    resourceName: name,
    resourcePatternType: named,
    principal: `User:${user}`,
    host: '*',
    operation,
    permissionType: AclPermissionTypes.ALLOW,
  })),
)

async function give() {
  const sasl = { mechanism: 'plain', username: 'admin', password: readFileSync('/run/secrets/kafka', 'utf8') }
  const admin = new Kafka({ clientId: 'kafka-rights', brokers: BROKERS, sasl, ssl: false, logLevel: logLevel.NOTHING, retry: { retries: 2 } }).admin()
  try {
    await admin.connect()
    await admin.createAcls({ acl })
  } finally {
    await admin.disconnect()
  }
}

/** What depends on it finds it running. As process 1 nothing ends it but what it listens for. */
function stay() {
  writeFileSync('/tmp/done', '')
  const timer = setInterval(() => {}, 2 ** 30)
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => clearInterval(timer))
}

for (let tried = 1; ; tried++) {
  try {
    await give()
    process.stdout.write(`${acl.length} rights for ${Object.keys(ROLES).join(', ')}\n`)
    stay()
    break
  } catch (error) {
    if (tried === TRIES) {
      process.stderr.write(`kafka-rights: ${error.message}\n`)
      process.exitCode = 1
      break
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}
