/** The topics on real Kafkas: made as they should be, and each wrong one named with the command that mends it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openClient } from '../../../src/log/kafka/client.ts'
import type { KafkaOptions } from '../../../src/log/kafka/options.ts'
import { ensureTopics, topicCommands } from '../../../src/log/kafka/topics.ts'
import type { Lines } from '../journal/rig.ts'
import { withKafka } from '../../parts/suites.ts'
import { optionsFor, ReadingRig } from './reading-rig.ts'

const ALL = ['actions', 'dead-letters', 'incidents', 'leaders', 'leases', 'readings', 'requests', 'state']

withKafka('topics', (kafka) => {
  let rig: ReadingRig

  const ensure = (more: Partial<KafkaOptions> = {}) => ensureTopics(openClient({ ...rig.options, ...more }, 'topics'))

  beforeEach(async () => {
    rig = await ReadingRig.open(kafka.brokers, { partitions: 3, retention: { bytes: 1_000_000, ageMs: 3_600_000 } })
  })

  afterEach(() => rig.close())

  it('are made when they are missing, and found right the next time', async () => {
    await ensure()
    const made = (await rig.admin.fetchTopicMetadata()).topics.filter(({ name }) => name.startsWith(rig.options.prefix))
    const partitions = Object.fromEntries(made.map((topic) => [topic.name.slice(rig.options.prefix.length), topic.partitions.length]))
    expect(Object.keys(partitions).sort()).toEqual(ALL)
    expect(partitions).toMatchObject({ readings: 3, state: 3, incidents: 3, requests: 3, leases: 1, actions: 1, leaders: 1 })
    expect(await settingsOf('state')).toMatchObject({ 'cleanup.policy': 'compact', 'min.insync.replicas': '1' })
    expect(await settingsOf('readings')).toMatchObject({
      'cleanup.policy': 'delete',
      'message.timestamp.type': 'LogAppendTime',
      'retention.ms': '3600000',
      'retention.bytes': '1000000',
      'max.message.bytes': '2097152',
    })
    expect(await settingsOf('incidents')).toMatchObject({ 'retention.ms': String(400 * 86_400_000), 'retention.bytes': '-1' })
    expect(await settingsOf('requests')).toMatchObject({ 'retention.ms': String(90 * 86_400_000) })
    expect(await settingsOf('actions')).toMatchObject({ 'retention.ms': '-1' })
    await ensure()
    expect((rig.options.logger as Lines).of('info')).toEqual(['info made 8 topics'])
  })

  it('are made once by processes that start together', async () => {
    await Promise.all([ensure(), ensure(), ensure()])
    expect(await rig.admin.listTopics()).toEqual(expect.arrayContaining(ALL.map((topic) => `${rig.options.prefix}${topic}`)))
  })

  it('with another number of partitions are refused with both numbers', async () => {
    await rig.make('readings', { partitions: 2, settings: { 'message.timestamp.type': 'LogAppendTime' } })
    await expect(ensure()).rejects.toMatchObject({
      code: 'PARTITIONS_CHANGED',
      message:
        `the topic ${rig.name('readings')} has 2 partitions, the config asks for 3: ` +
        'set log.kafka.partitions back to 2, or start with an empty log by another log.kafka.prefix',
    })
  })

  it.each([
    ['state', 'cleanup.policy', 'delete', 'compact', ''],
    ['incidents', 'cleanup.policy', 'compact', 'delete', ''],
    ['readings', 'message.timestamp.type', 'CreateTime', 'LogAppendTime', ''],
    ['readings', 'min.insync.replicas', '2', '1', ', or set log.kafka.minInSync to 2'],
  ] as const)('of which %s has %s=%s are refused with the command that mends it', async (topic, setting, found, expected, more) => {
    const right = topic === 'state' ? {} : { 'message.timestamp.type': 'LogAppendTime' }
    const settings = { 'cleanup.policy': topic === 'state' ? 'compact' : 'delete', ...right, [setting]: found }
    await rig.make(topic, { partitions: 3, settings })
    await expect(ensure()).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      message:
        `the topic ${rig.name(topic)} has ${setting}=${found}, expected ${expected}: ` +
        `kafka-configs.sh --bootstrap-server ${kafka.brokers[0]} --alter --entity-type topics ` +
        `--entity-name ${rig.name(topic)} --add-config ${setting}=${expected}${more}`,
    })
  })

  it('that take no batch of ours are refused', async () => {
    await rig.make('leases', { settings: { 'cleanup.policy': 'compact', 'max.message.bytes': '100000' } })
    await expect(ensure()).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('max.message.bytes=100000') })
  })

  it('with fewer replicas than asked for are refused with the way there', async () => {
    await ensure()
    await expect(ensure({ replication: 3 })).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      message: expect.stringMatching(/has 1 replicas of partition \d+, expected 3: kafka-reassign-.* or set log.kafka.replication to 1/),
    })
  })

  it('can not be made with more replicas than there are brokers', async () => {
    const said = { code: 'BAD_CONFIG', message: expect.stringContaining('fewer brokers than log.kafka.replication') }
    await expect(ensure({ replication: 3 })).rejects.toMatchObject(said)
  })

  it('whose retention is not what the config asks for stay as they are, and it is said', async () => {
    await ensure()
    await ensure({ retention: { bytes: null, ageMs: 3_600_000 } })
    const lines = (rig.options.logger as Lines).of('info').filter((line) => line.includes('retention.bytes=1000000'))
    expect(lines).toHaveLength(2)
    expect(lines.join()).toContain(`--entity-name ${rig.name('readings')} --add-config retention.bytes=-1`)
  })

  async function settingsOf(topic: string): Promise<Record<string, string>> {
    const asked = [{ type: 2, name: `${rig.options.prefix}${topic}` }]
    const { resources } = await rig.admin.describeConfigs({ includeSynonyms: false, resources: asked })
    return Object.fromEntries(resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]))
  }
})

describe('topics', () => {
  it('are for the caller to try again when no broker can be reached', async () => {
    const client = openClient(optionsFor(['127.0.0.1:1']), 'topics', { retry: { retries: 0 } })
    const error = await ensureTopics(client).catch((met: unknown) => met)
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retriable: true })
    expect((error as Error).message).toMatch(/^Kafka at 127\.0\.0\.1:1: checking the topics: .*ECONNREFUSED.*$/)
  })

  it('come as commands for who makes them by hand', () => {
    const commands = topicCommands(optionsFor(['kafka:9092'], { prefix: 'picket.', partitions: 12, replication: 3, minInSync: 2 }))
    expect(commands).toHaveLength(8)
    expect(commands).toContain(
      'kafka-topics.sh --bootstrap-server kafka:9092 --create --topic picket.state --partitions 12 --replication-factor 3 ' +
        '--config cleanup.policy=compact --config min.insync.replicas=2 --config max.message.bytes=2097152 ' +
        '--config segment.bytes=134217728',
    )
  })
})
