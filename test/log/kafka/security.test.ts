/** The Kafka log through the doors of a real Kafka that ask who comes: TLS, client certificates, SASL, access rules. */
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openKafka } from '../../../src/log/kafka/kafka.ts'
import type { KafkaOptions, TlsOptions } from '../../../src/log/kafka/options.ts'
import type { Log } from '../../../src/log/log.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { KAFKA_USERS } from '../../parts/kafka-doors.ts'
import { withKafka } from '../../parts/suites.ts'
import { adminOf, kafkaOptions } from './member-rig.ts'

/** Far below what retrying would take: a wrong password is wrong the next time too. */
const AT_ONCE_MS = 3_000

const bytes = (text: string) => new TextEncoder().encode(text)
const withCa = (ca: string): TlsOptions => ({ ca, cert: null, key: null })

function as(username: keyof typeof KAFKA_USERS, mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512' = 'plain') {
  return { mechanism, username, password: KAFKA_USERS[username] }
}

withKafka(
  'the Kafka log at doors that ask who comes',
  (kafka) => {
    let prefix = ''
    let logs: Log[] = []

    beforeEach(() => {
      prefix = `secure-${systemRandom.id()}.`
      logs = []
    })

    afterEach(async () => {
      await Promise.all(logs.map((log) => log.close()))
      const admin = await adminOf(kafka.brokers)
      const topics = (await admin.listTopics()).filter((name) => name.startsWith(prefix))
      await admin.deleteTopics({ topics })
      await admin.disconnect()
    })

    async function open(broker: string, more: Partial<KafkaOptions> = {}): Promise<Log> {
      const log = await openKafka(kafkaOptions([broker], { prefix, name: 'test', ...more }))
      logs.push(log)
      return log
    }

    async function keepsWhatItIsGiven(log: Log): Promise<void> {
      await (await log.append('readings', 1, [{ key: 'pump-7', value: bytes('42') }])).flushed
      const slice = await log.read('readings', 1, 0, 10)
      expect(slice!.records.map(({ key, value }) => [key, Buffer.from(value!).toString()])).toEqual([['pump-7', '42']])
    }

    /** Lets a user do it, and waits until the broker knows. */
    async function allow(user: string, rights: readonly { readonly on: AclResourceTypes; readonly name: string; readonly operation: AclOperationTypes }[]) {
      const admin = await adminOf(kafka.brokers)
      const acl = rights.map(({ on, name, operation }) => ({
        resourceType: on,
        resourceName: `${prefix}${name}`,
        resourcePatternType: ResourcePatternTypes.PREFIXED,
        principal: `User:${user}`,
        host: '*',
        operation,
        permissionType: AclPermissionTypes.ALLOW,
      }))
      await admin.createAcls({ acl })
      await admin.disconnect()
    }

    it('speaks TLS to brokers of the authority it is given', async () => {
      const { tls, ca } = kafka.doors!
      await keepsWhatItIsGiven(await open(tls, { tls: withCa(ca) }))
    })

    it('shows its client certificate', async () => {
      const { mutual, ca, client } = kafka.doors!
      await keepsWhatItIsGiven(await open(mutual, { tls: { ca, ...client } }))
    })

    it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('logs in by %s within TLS', async (mechanism) => {
      const { saslTls, ca } = kafka.doors!
      await keepsWhatItIsGiven(await open(saslTls, { tls: withCa(ca), sasl: as('admin', mechanism) }))
    })

    it('logs in without TLS', async () => {
      await keepsWhatItIsGiven(await open(kafka.doors!.sasl, { sasl: as('admin', 'scram-sha-512') }))
    })

    it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('stops at once at a wrong password by %s, with the user and the mechanism', async (mechanism) => {
      const began = performance.now()
      const opening = open(kafka.doors!.sasl, { sasl: { mechanism, username: 'admin', password: 'wrong' } })
      await expect(opening).rejects.toMatchObject({ code: 'UNAUTHORIZED', retriable: false, message: expect.stringMatching(new RegExp(`the user admin.*${mechanism}`, 'i')) })
      expect(performance.now() - began).toBeLessThan(AT_ONCE_MS)
    })

    it('names the key that says which authority when it does not know that of the brokers', async () => {
      const { tls, strangerCa } = kafka.doors!
      await expect(open(tls, { tls: withCa(strangerCa) })).rejects.toThrow(/certificate.*log\.kafka\.tls/s)
    })

    it('says that the brokers ask for a client certificate', async () => {
      const { mutual, ca } = kafka.doors!
      await expect(open(mutual, { tls: withCa(ca) })).rejects.toThrow(/certificate/)
    })

    it('says that the brokers ask for a user when it has none', async () => {
      await expect(open(kafka.doors!.sasl)).rejects.toThrow(/log\.kafka\.sasl/)
    })

    it('says that the brokers ask for TLS when it speaks none', async () => {
      await expect(open(kafka.doors!.tls)).rejects.toThrow(/log\.kafka\.tls/)
    })

    it.each(['nobody', 'detect'] as const)('stops at a topic that %s may not write, with the rule it lacks', async (user) => {
      const owner = await open(kafka.brokers[0]!)
      await owner.close()
      await allow('detect', [{ on: AclResourceTypes.TOPIC, name: '', operation: AclOperationTypes.DESCRIBE }]) // and nobody nothing
      const log = await open(kafka.doors!.sasl, { sasl: as(user) })
      await expect(log.append('readings', 0, [{ key: 'pump-7', value: bytes('42') }])).rejects.toMatchObject({
        code: 'UNAUTHORIZED',
        retriable: false,
        message: expect.stringContaining(`--allow-principal User:${user} --operation Write --topic '${prefix}readings'`),
      })
    })

    it('appends to what it may only write, and names the rule it lacks to read it', async () => {
      const owner = await open(kafka.brokers[0]!)
      await owner.close()
      const { TOPIC } = AclResourceTypes
      const { DESCRIBE, WRITE } = AclOperationTypes
      await allow('respond', [DESCRIBE, WRITE].map((operation) => ({ on: TOPIC, name: 'readings', operation })))
      await allow('respond', ['dead-letters', 'state', 'incidents', 'requests', 'leases', 'actions', 'leaders'].map((name) => ({ on: TOPIC, name, operation: DESCRIBE })))
      const log = await open(kafka.doors!.sasl, { sasl: as('respond') })
      await (await log.append('readings', 0, [{ key: 'pump-7', value: bytes('control') }])).flushed
      await expect(log.read('readings', 0, 0, 10)).rejects.toMatchObject({
        code: 'UNAUTHORIZED',
        message: expect.stringMatching(new RegExp(`--allow-principal User:respond --operation Read --topic '${prefix}readings'`)),
      })
    })
  },
  { needsDoors: true },
)
