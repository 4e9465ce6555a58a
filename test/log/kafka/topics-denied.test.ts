/** The topics for credentials that may not do all: a real Kafka with access rules. */
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { openClient } from '../../../src/log/kafka/client.ts'
import { ensureTopics } from '../../../src/log/kafka/topics.ts'
import { KAFKA_USERS } from '../../parts/kafka-doors.ts'
import { withKafka } from '../../parts/suites.ts'
import { Lines } from '../journal/rig.ts'
import { ReadingRig } from './reading-rig.ts'

withKafka(
  'topics for who may not do all',
  (kafka) => {
    let rig: ReadingRig
    let logger: Lines

    beforeEach(async () => {
      rig = await ReadingRig.open(kafka.brokers)
      logger = new Lines()
    })

    afterEach(() => rig.close())

    const ensureAsOwner = () => ensureTopics(openClient(rig.options, 'topics'))

    const ensureAs = (username: keyof typeof KAFKA_USERS) => {
      const sasl = { mechanism: 'scram-sha-512', username, password: KAFKA_USERS[username] } as const
      return ensureTopics(openClient({ ...rig.options, logger, brokers: [kafka.doors!.sasl], sasl }, 'topics'))
    }

    /** Resolves once the broker knows. */
    const letDescribe = async (username: keyof typeof KAFKA_USERS) => {
      const rule = {
        resourceType: AclResourceTypes.TOPIC,
        resourceName: rig.options.prefix,
        resourcePatternType: ResourcePatternTypes.PREFIXED,
        principal: `User:${username}`,
        host: '*',
        operation: AclOperationTypes.DESCRIBE,
        permissionType: AclPermissionTypes.ALLOW,
      }
      await rig.admin.createAcls({ acl: [rule] })
      await vi.waitFor(async () => expect((await rig.admin.describeAcls(rule)).resources).toHaveLength(1))
    }

    it('are left as they are where their settings may not be looked at, and it is said', async () => {
      await ensureAsOwner()
      await letDescribe('ingest')
      await ensureAs('ingest')
      const [line] = logger.of('info')
      expect(line).toContain('these credentials may not look at')
      expect(line).toContain(`the settings of ${rig.name('readings')}`)
      expect(line).toContain('was not checked')
    })

    it('are compared by the number of their partitions all the same', async () => {
      await rig.make('readings', { partitions: 2 })
      await letDescribe('ingest')
      await expect(ensureAs('ingest')).rejects.toMatchObject({ code: 'PARTITIONS_CHANGED' })
    })

    it('that may not be looked at at all are taken to be there', async () => {
      await ensureAsOwner()
      await ensureAs('nobody')
      expect(logger.of('info')[0]).toContain(`may not look at ${rig.name('readings')}, `)
    })

    it('that are missing and may not be made come with the commands that make just these', async () => {
      await rig.make('actions', { settings: { 'message.timestamp.type': 'LogAppendTime' } })
      await letDescribe('ingest')
      const error = await ensureAs('ingest').catch((met: unknown) => met)
      expect(error).toMatchObject({ code: 'UNAUTHORIZED', retriable: false })
      const [text, ...commands] = (error as Error).message.split('\n')
      expect(text).toBe(`the topic ${rig.name('readings')} is missing and these credentials may not make it. Make what is missing by:`)
      expect(commands).toHaveLength(7)
      expect(commands[0]).toContain(`kafka-topics.sh --bootstrap-server ${kafka.doors!.sasl} --create --topic ${rig.name('readings')} `)
      expect(commands.join()).not.toContain(rig.name('actions'))
    })
  },
  { needsDoors: true },
)
