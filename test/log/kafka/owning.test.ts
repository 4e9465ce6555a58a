/** Owners and leaders on a real Kafka, several processes of them: who is known to hold what, and what a process out of reach may still do. */
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openKafka } from '../../../src/log/kafka/kafka.ts'
import { LEADERS, topicName } from '../../../src/log/kafka/names.ts'
import { TOPICS } from '../../../src/log/log.ts'
import type { Log, Owned, Partition, Slice, Topic } from '../../../src/log/log.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { withKafka } from '../../parts/suites.ts'
import { adminOf, kafkaOptions, QUICK, until, Wire } from './member-rig.ts'

interface Process {
  readonly log: Log
  readonly wire: Wire
  readonly stop: AbortController
}

const nowhere = { next: new Map(), incarnation: '' }

withKafka('owners and leaders', (kafka) => {
  let prefix = ''
  let processes: Process[] = []

  beforeEach(() => {
    prefix = `owning-${systemRandom.id()}.`
    processes = []
  })

  afterEach(async () => {
    for (const { stop } of processes) stop.abort()
    await Promise.race([Promise.allSettled(processes.map(({ log }) => log.close())), pause(2_000)])
    for (const { wire } of processes) wire.kill()
    const admin = await adminOf(kafka.brokers)
    await admin.deleteTopics({ topics: [...Object.keys(TOPICS), LEADERS].map((topic) => topicName(prefix, topic as Topic)) })
    await admin.disconnect()
  })

  async function process(name: string): Promise<Process> {
    const wire = new Wire()
    const log = await openKafka(kafkaOptions(kafka.brokers, { prefix, name, timing: QUICK, socketFactory: wire.open }))
    const made = { log, wire, stop: new AbortController() }
    processes.push(made)
    return made
  }

  function consume({ log, stop }: Process, each: (slice: Slice) => Promise<void> = async () => undefined) {
    const owned = new Map<number, Partition>()
    const closed: number[] = []
    const ended = log.consume(async (partition) => {
      await partition.restore(() => undefined)
      owned.set(partition.number, partition)
      return { task: { process: each, close: async () => void closed.push(partition.number) }, from: 0 }
    }, stop.signal)
    ended.catch(() => {})
    return { owned, closed, ended }
  }

  function lead({ log, stop }: Process, name: string) {
    const terms: { readonly owned: Owned; readonly epoch: number }[] = []
    const ended = log.lead(name, async (owned) => {
      const { epoch } = await owned.restore(() => undefined)
      terms.push({ owned, epoch })
      await new Promise<void>((resolve) => owned.signal.addEventListener('abort', () => resolve(), { once: true }))
    }, stop.signal)
    ended.catch(() => {})
    return { terms, ended }
  }

  it('every process of the group knows who owns what, and every candidate who leads', async () => {
    const [one, two] = [await process('one'), await process('two')]
    const [first, second] = [consume(one), consume(two)]
    await until(() => [0, 1].every((n) => one.log.holder(`readings/${n}`) === two.log.holder(`readings/${n}`) && one.log.holder(`readings/${n}`) !== null))
    await until(() => ['one', 'two'].every((name) => [0, 1].some((n) => one.log.holder(`readings/${n}`) === name)))
    await until(() => [...first.owned.keys(), ...second.owned.keys()].length >= 2)
    const leader = lead(one, 'respond')
    await until(() => leader.terms.length === 1)
    lead(two, 'respond')
    await until(() => two.log.holder('respond') === 'one')
    expect([one.log.holder('respond'), one.log.holder('source/field')]).toEqual(['one', null])
  })

  it('a process out of reach refuses commits and incidents by its lease, without asking anybody, and lets its tasks go', async () => {
    const one = await process('one')
    const { owned, closed } = consume(one)
    await until(() => owned.size === 2)
    const partition = owned.get(0)!
    one.wire.kill()
    const underWay = owned.get(1)!.commit([], nowhere).catch((error: unknown) => error)
    const waited = await until(() => partition.signal.aborted)
    expect(waited).toBeLessThan(QUICK.sessionMs)
    const started = performance.now()
    await expect(partition.commit([], nowhere)).rejects.toMatchObject({ code: 'FENCED' })
    await expect(one.log.append('incidents', 0, [{ key: '', value: Buffer.from('late') }])).rejects.toMatchObject({ code: 'FENCED' })
    await expect(partition.confirmed()).rejects.toMatchObject({ code: 'FENCED' })
    expect(performance.now() - started).toBeLessThan(500)
    // Not when a commit would be given up as a rule.
    expect(await Promise.race([underWay, pause(2_000)])).toMatchObject({ code: expect.stringMatching(/IN_DOUBT|FENCED/) })
    await until(() => closed.length === 2)
    expect([one.log.holder('readings/0'), one.log.holder('readings/1')]).toEqual([null, null])
  })

  it('a leader without state has a higher epoch with each takeover, from process to process', async () => {
    const [one, two] = [await process('one'), await process('two')]
    const first = lead(one, 'source/field')
    await until(() => first.terms.length === 1)
    const second = lead(two, 'source/field')
    await until(() => two.log.holder('source/field') === 'one')
    one.stop.abort()
    await first.ended
    await until(() => second.terms.length === 1)
    expect(second.terms[0]!.epoch).toBeGreaterThan(first.terms[0]!.epoch)
  })

  it('a leader out of reach stops, and leads again when it is back and nobody else does', async () => {
    const one = await process('one')
    const { terms } = lead(one, 'respond')
    await until(() => terms.length === 1)
    const back = one.wire.cutUntil()
    await until(() => terms[0]!.owned.signal.aborted)
    back()
    await until(() => terms.length === 2)
    expect(terms[1]!.epoch).toBe(2)
  })

  it('the group’s offsets follow what was worked through, for tools that show lag', async () => {
    const one = await process('one')
    let seen = 0
    const { owned, ended } = consume(one, async ({ records }) => void (seen += records.length))
    await until(() => owned.size === 2)
    await one.log.append('readings', 1, [1, 2, 3].map((n) => ({ key: '', value: Buffer.from(`${n}`) })))
    await until(() => seen === 3)
    one.stop.abort()
    await ended
    const admin = await adminOf(kafka.brokers)
    const [offsets] = await admin.fetchOffsets({ groupId: `${prefix}detect`, topics: [topicName(prefix, 'readings')] })
    await admin.disconnect()
    expect(offsets!.partitions.find(({ partition }) => partition === 1)).toMatchObject({ offset: '3' })
  })
})
