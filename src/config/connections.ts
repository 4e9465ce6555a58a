/** The part of the schema that says how Picket reaches what the user already runs: Kafka for its log, MQTT brokers for its sources. */
import { z } from 'zod'
import { brokerAddress, choice, count, duration, file, list, replaced, section, size, text, url } from './notation.ts'

const sasl = section({
  mechanism: choice(['plain', 'scram-sha-256', 'scram-sha-512']).prefault('scram-sha-512').describe('How the password is proven.'),
  username: replaced(/^[^\u0000-\u001f]{1,256}$/, '1 to 256 characters').describe('Each role may have one of its own, by ${NAME}.'),
  password: replaced(/^[\s\S]{1,1024}$/, '1 to 1024 characters').describe('Its password.'),
})

const tlsFiles = {
  ca: file().optional().describe('Certificates (PEM) that the broker’s is signed by; the system’s when left out.'),
  cert: file().optional().describe('Client certificate (PEM); goes with key.'),
  key: file().optional().describe('Its private key (PEM).'),
}

const RETENTION = 'Of readings and dead letters'

export const kafkaLog = section({
  brokers: list(brokerAddress(), { min: 1, max: 64, of: 'brokers' }).describe('Some of the cluster; the others are found.'),
  partitions: count(1, 1_024, 'partitions').prefault(12).describe('Fixed once the topics are made; as many detect processes can share the work.'),
  prefix: text(/^[A-Za-z0-9._-]{0,64}$/, 'at most 64 letters, digits, ., _ and -').prefault('picket.').describe('Before the name of every topic, group and transactional id.'),
  replication: count(1, 32, 'brokers').prefault(3).describe('Brokers that hold each record.'),
  minInSync: count(1, 32, 'brokers').prefault(2).describe('Of these, how many must have a record before it counts.'),
  compression: choice(['none', 'gzip', 'lz4', 'zstd']).prefault('lz4').describe('Of records; zstd wants Node 22.15.'),
  tls: z
    .union([z.literal(true), section(tlsFiles)], { error: 'true, or a mapping with the keys ca, cert, key' })
    .optional()
    .describe('Speak TLS: true with the system’s certificates, or which.'),
  sasl: sasl.optional().describe('User and password.'),
  retention: section({
    size: size('1MiB', '65536GiB').prefault('8GiB').describe(`${RETENTION}, bytes of each partition.`),
    age: duration('1h', '3650d').prefault('7d').describe(`${RETENTION}, from their arrival.`),
  })
    .prefault({})
    .describe('Beyond either, Kafka deletes the oldest readings and dead letters. Incidents stay 400 days, requests 90, actions for ever.'),
}).describe('The log in a Kafka cluster, instead of log.embedded: for roles in processes of their own.')

const version = z
  .union([z.literal(5), z.literal('3.1.1')], { error: '5 or 3.1.1' })
  .meta({ notation: { type: '5, 3.1.1' } })

export const mqttSource = section({
  url: url(['mqtt', 'mqtts', 'ws', 'wss']).describe('Of the broker; mqtts and wss speak TLS, ws and wss WebSocket.'),
  version: version.prefault(5).describe('Of MQTT, as the broker speaks it.'),
  username: replaced(/^[^\u0000-\u001f]{1,256}$/, '1 to 256 characters').optional().describe('Each role may have one of its own, by ${NAME}.'),
  password: replaced(/^[\s\S]{1,1024}$/, '1 to 1024 characters').optional().describe('Its password.'),
  clientId: replaced(/^[^\u0000-\u001f+#/]{1,64}$/, '1 to 64 characters without /, + and #')
    .optional()
    .describe('Fixed, so that the broker keeps what came while nobody was connected. When left out, picket- and the name of the source, with share also that of the machine.'),
  window: count(1, 65_535, 'messages').prefault(1_000).describe('Messages taken in and not yet acknowledged.'),
  tls: section(tlsFiles).optional().describe('With mqtts and wss.'),
  share: text(/^[^\u0000-\u001f/+#]{1,64}$/, '1 to 64 characters without /, + and #')
    .optional()
    .describe('Group of a shared subscription: several ingest processes share the messages. Order is lost, so each topic has to say time.'),
  identity: section({ property: propertyName().describe('Name of the user property.') })
    .optional()
    .describe('Where the broker says, in a user property of MQTT 5, who published: a message for another device is refused.'),
}).describe('An MQTT broker that is already there.')

/** Of MQTT 5. */
export function propertyName() {
  return text(/^[^\u0000-\u001f{}]{1,128}$/, 'the name of a user property of MQTT 5')
}
