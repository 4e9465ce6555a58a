/** Members of a group on a real Kafka: who gets what when they come, go, die, stop and lose their connections. */
import { setTimeout as pause } from 'node:timers/promises'
import { AssignerProtocol } from 'kafkajs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openClient } from '../../../src/log/kafka/client.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { withKafka } from '../../parts/suites.ts'
import { adminOf, kafkaOptions, Member, QUICK, Register, until } from './member-rig.ts'
import type { MemberOptions } from './member-rig.ts'

withKafka('members of a group', (kafka) => {
  let prefix = ''
  let members: Member[] = []
  let register = new Register()

  beforeEach(() => {
    prefix = `test-${systemRandom.id()}.`
    members = []
    register = new Register()
  })

  afterEach(async () => {
    await Promise.allSettled(members.map((one) => one.leave()))
    const admin = await adminOf(kafka.brokers)
    await admin.deleteTopics({ topics: [`${prefix}readings`] })
    await admin.disconnect()
  })

  async function topic(partitions: number): Promise<void> {
    const admin = await adminOf(kafka.brokers)
    await admin.createTopics({ topics: [{ topic: `${prefix}readings`, numPartitions: partitions, replicationFactor: 1 }], waitForLeaders: true })
    await admin.disconnect()
  }

  function member(name: string, partitions: number, more: Partial<MemberOptions> = {}): Member {
    const made = new Member({ brokers: kafka.brokers, prefix, name, partitions, ...more }, register)
    members.push(made)
    return made.start()
  }

  it('one gets all', async () => {
    await topic(3)
    const one = member('one', 3)
    await until(() => one.acts.length === 3)
    expect([0, 1, 2].map((partition) => one.membership.holder(partition))).toEqual(['one', 'one', 'one'])
  })

  it('a second gets its share, which the first lets go before; neither works twice at what it keeps', async () => {
    await topic(4)
    const one = member('one', 4)
    await until(() => one.acts.length === 4)
    const two = member('two', 4)
    await until(() => one.acts.length === 2 && two.acts.length === 2)
    expect([one.tenures.length, two.tenures.length]).toEqual([4, 2])
    expect(register.overlaps).toEqual([])
    const holders = [0, 1, 2, 3].map((partition) => (one.acts.includes(partition) ? 'one' : 'two'))
    await until(() => [0, 1, 2, 3].every((partition) => one.membership.holder(partition) === holders[partition] && two.membership.holder(partition) === holders[partition]))
  })

  it('what one leaves another has within a second', async () => {
    await topic(2)
    const one = member('one', 2)
    await until(() => one.acts.length === 2)
    const two = member('two', 2)
    await until(() => two.acts.length === 1)
    await one.leave()
    const ms = await until(() => two.acts.length === 2)
    expect(ms).toBeLessThan(1_000)
  })

  it('what a dead one held another has when its session is over', async () => {
    await topic(2)
    const one = member('one', 2)
    await until(() => one.acts.length === 2)
    const two = member('two', 2)
    await until(() => two.acts.length === 1)
    one.wire.kill()
    const ms = await until(() => two.acts.length === 2)
    expect(ms).toBeGreaterThan(QUICK.sessionMs - 2 * QUICK.heartbeatMs)
    expect(register.overlaps).toEqual([])
  })

  it('one that could not leave joins as who it was, and nobody waits for its session to run out', async () => {
    await topic(1)
    const timing = { ...QUICK, sessionMs: 6_000 }
    const one = member('one', 1, { timing })
    await until(() => one.acts.length === 1)
    one.wire.kill()
    await one.leave()
    const again = member('again', 1, { timing, memberId: one.membership.memberId })
    expect(await until(() => again.acts.length === 1)).toBeLessThan(timing.sessionMs / 2)
  })

  it('one that left is nobody', async () => {
    await topic(1)
    const one = member('one', 1)
    await until(() => one.acts.length === 1)
    await one.leave()
    expect(one.membership.memberId).toBe('')
  })

  it('cut connections are made anew and nothing is lost', async () => {
    await topic(2)
    const one = member('one', 2)
    const two = member('two', 2)
    await until(() => one.acts.length === 1 && two.acts.length === 1)
    const before = [one, two].map(({ tenures }) => tenures.length)
    for (let n = 0; n < 5; n++) {
      one.wire.cut()
      two.wire.cut()
      await pause(300)
    }
    expect([one, two].map(({ tenures }) => tenures.length)).toEqual(before)
    expect([one.acts.length, two.acts.length]).toEqual([1, 1])
  })

  it('one that died unnoticed makes a newcomer wait, and nobody else: what is held is worked at all the while', async () => {
    await topic(4)
    const one = member('one', 4)
    const dead = member('dead', 4)
    await until(() => one.acts.length === 2 && dead.acts.length === 2)
    const kept = one.tenures.filter((tenure) => tenure.isHeld())
    // So that the broker has just heard of it.
    await dead.tenures[0]!.confirmed()
    dead.wire.kill()
    const three = member('three', 4)
    let broken = 0
    const waited = await until(() => {
      if (!kept.every((tenure) => tenure.isHeld())) broken++
      return three.acts.length === 2
    })
    // Longer than a lease that no heartbeat renewed would have lasted.
    expect(waited).toBeGreaterThan((2 / 3) * QUICK.sessionMs)
    expect([broken, one.acts.length]).toEqual([0, 2])
    expect(register.overlaps).toEqual([])
  })

  it('twelve partitions move no more than they must while members come and go, and none is worked at by two', async () => {
    await topic(12)
    const names = ['a', 'b', 'c', 'd', 'e']
    const one = member('a', 12)
    await until(() => one.acts.length === 12)
    for (const name of names.slice(1, 4)) {
      member(name, 12)
      await until(() => isEven(12))
    }
    await members[1]!.leave()
    await until(() => isEven(12))
    member('e', 12)
    await members[0]!.leave()
    await until(() => isEven(12))
    for (const turns of register.turns.values()) {
      // Who keeps one is not given it again.
      for (const [turn, name] of turns.entries()) expect(turns[turn + 1]).not.toBe(name)
    }
    // 12 at first; 6, 2, 1 to the newcomers; 3 of the one that left, 4 of the next and what e is short of.
    expect([...register.turns.values()].flat().length).toBeLessThanOrEqual(12 + 6 + 4 + 3 + 3 + 4 + 4)
    expect(register.overlaps).toEqual([])
  })

  it('one that the broker has put out loses everything at once and joins anew', async () => {
    await topic(2)
    const one = member('one', 2)
    await until(() => one.acts.length === 2)
    const held = [...one.tenures]
    const client = openClient(kafkaOptions(kafka.brokers, { prefix, name: 'test' }), 'test')
    const cluster = client.cluster()
    await cluster.connect()
    await cluster.addMultipleTargetTopics([`${prefix}readings`])
    const coordinator = await cluster.findGroupCoordinator({ groupId: `${prefix}members` })
    const { groups } = await coordinator.describeGroups({ groupIds: [`${prefix}members`] })
    await coordinator.leaveGroup({ groupId: `${prefix}members`, memberId: groups[0]!.members[0]!.memberId })
    await cluster.disconnect()
    await until(() => one.tenures.length === 4 && one.acts.length === 2)
    expect(held.map((tenure) => [tenure.isHeld(), tenure.signal.aborted])).toEqual([[false, true], [false, true]])
  })

  it('a tenure is confirmed by a heartbeat sent after the question, and refused once the broker is out of reach', async () => {
    await topic(1)
    const one = member('one', 1)
    await until(() => one.acts.length === 1)
    await one.tenures[0]!.confirmed()
    one.wire.kill()
    await expect(one.tenures[0]!.confirmed()).rejects.toMatchObject({ code: 'FENCED' })
    expect(() => one.tenures[0]!.check()).toThrow(/lost touch/)
  })

  it('one that goes while it waits for others is gone at once, and nobody waits for it later', async () => {
    await topic(1)
    const one = member('one', 1)
    const dead = member('dead', 1)
    await until(() => one.acts.length + dead.acts.length === 1 && one.membership.holder(0) !== null && dead.membership.holder(0) !== null)
    dead.wire.kill()
    const killed = performance.now()
    const three = member('three', 1)
    await pause(400)
    const started = performance.now()
    await three.leave()
    expect(performance.now() - started).toBeLessThan((2 / 3) * QUICK.sessionMs)
    // The dead one is put out then; if the third were still thought to join, its own session would only begin.
    await until(() => performance.now() - killed > QUICK.sessionMs + 2 * QUICK.heartbeatMs && one.acts.length === 1)
    const four = member('four', 1)
    await until(() => four.membership.holder(0) === 'one', (2 / 3) * QUICK.sessionMs)
  })

  it('where it stands is told to the tools that show lag', async () => {
    await topic(2)
    const one = member('one', 2)
    await until(() => one.acts.length === 2)
    for (const tenure of one.tenures) tenure.at(7 + tenure.partition)
    await one.leave()
    const admin = await adminOf(kafka.brokers)
    const [offsets] = await admin.fetchOffsets({ groupId: `${prefix}members`, topics: [`${prefix}readings`] })
    await admin.disconnect()
    expect(offsets!.partitions.toSorted((a, b) => a.partition - b.partition)).toMatchObject([{ offset: '7' }, { offset: '8' }])
  })

  it('the group looks to Kafka’s own tools as a consumer’s does', async () => {
    await topic(2)
    const one = member('one', 2)
    await until(() => one.acts.length === 2)
    const admin = await adminOf(kafka.brokers)
    const { groups } = await admin.describeGroups([`${prefix}members`])
    await admin.disconnect()
    expect(groups[0]).toMatchObject({ state: 'Stable', protocolType: 'consumer', protocol: 'picket-sticky' })
    const { memberAssignment, memberMetadata } = groups[0]!.members[0]!
    expect(AssignerProtocol.MemberMetadata.decode(memberMetadata)!.topics).toEqual([`${prefix}readings`])
    expect(AssignerProtocol.MemberAssignment.decode(memberAssignment)!.assignment).toEqual({ [`${prefix}readings`]: [0, 1] })
  })

  it('a session that the broker doesn’t allow is a stop that names the group and the broker’s key', async () => {
    await topic(1)
    const one = member('one', 1, { timing: { sessionMs: 100, heartbeatMs: 30, rebalanceMs: 200 } })
    await expect(one.ended).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      retriable: false,
      message: expect.stringMatching(new RegExp(`${prefix}members.*group.min.session.timeout.ms`)),
    })
  })

  function isEven(partitions: number): boolean {
    const counts = members.filter(({ isLeaving }) => !isLeaving).map(({ acts }) => acts.length)
    return counts.reduce((sum, count) => sum + count, 0) === partitions && Math.max(...counts) - Math.min(...counts) <= 1
  }
})
