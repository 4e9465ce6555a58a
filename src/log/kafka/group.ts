/**
 * A consumer group on the wire: what one member asks its coordinator, and how members, claims and holders are written into the fields
 * that Kafka leaves to them. `membership.ts` decides when to ask.
 */
import { AssignerProtocol } from 'kafkajs'
import type { Random } from '../../ops/random.ts'
import type { Candidate } from './assigning.ts'
import { COORDINATOR, openClient, sendRaw } from './client.ts'
import type { Broker, Client, Cluster, Joined } from './client.ts'
import type { GroupTiming, KafkaOptions } from './options.ts'
import { protocolError, trouble } from './trouble.ts'
import { WireReader, WireWriter } from './wire.ts'

const { MemberAssignment, MemberMetadata } = AssignerProtocol

/** Of the consumers' protocol, so that `kafka-consumer-groups.sh --describe` can read our groups. */
const PROTOCOL_TYPE = 'consumer'
const PROTOCOL_NAME = 'picket-sticky'
/** Version 0 of both has userData and nothing that kafkajs doesn't write. */
const VERSION = 0
const JOIN_GROUP = { apiKey: 11, apiVersion: 5, apiName: 'JoinGroup' }
const MEMBER_ID_REQUIRED = 79
/** The length of a string that is null. */
const NO_INSTANCE = -1
/** A coordinator that has gone is looked for again soon: the lease runs on. */
const SOON = { initialRetryTime: 50, maxRetryTime: 200, retries: 1 }
const QUICK_CONNECTION_MS = 1_000
/** On top of how long a group may wait for its members, for the answer to a JoinGroup. */
const JOIN_SPARE_MS = 5_000

/** What an answer of the coordinator means to a member. */
export type Answer =
  | 'rebalancing' // everybody joins again, and goes on meanwhile
  | 'unknown member' // put out: another id, and nothing held
  | 'old generation' // one was missed, and what it gave away with it
  | 'no coordinator' // moved, loading, or not to be reached: look for it again
  | 'other'

const ANSWERS: ReadonlyMap<string, Answer> = new Map([
  ['REBALANCE_IN_PROGRESS', 'rebalancing'],
  ['UNKNOWN_MEMBER_ID', 'unknown member'],
  ['FENCED_INSTANCE_ID', 'unknown member'],
  ['ILLEGAL_GENERATION', 'old generation'],
])

export interface Standing {
  readonly memberId: string
  readonly generation: number
}

/** What a member tells the others. */
export type Introduction = Omit<Candidate, 'id'> & {
  /** Counts joins: who joins with other words than before makes the group rebalance. */
  readonly turn: number
}

export interface Assigned {
  readonly partitions: readonly number[]
  readonly holders: ReadonlyMap<number, string>
}

export interface GroupOptions {
  readonly kafka: KafkaOptions
  readonly timing: GroupTiming
  readonly group: string
  /** Its full name; the group has no other. */
  readonly topic: string
}

export class GroupLink {
  readonly #options: GroupOptions
  /** A broker answers one request a connection at a time, and a JoinGroup waits for others: heartbeats go on beside it. */
  readonly #waiting: Side
  readonly #quick: Side

  constructor(options: GroupOptions) {
    this.#options = options
    const { kafka, timing, group } = options
    const purpose = group.slice(kafka.prefix.length)
    const requestTimeoutMs = Math.max(300, 1.5 * timing.heartbeatMs)
    this.#waiting = new Side(options, () => openClient(kafka, `${purpose}-join`, { retry: SOON }))
    this.#quick = new Side(options, () =>
      openClient(kafka, purpose, { retry: SOON, requestTimeoutMs, connectionTimeoutMs: Math.min(QUICK_CONNECTION_MS, requestTimeoutMs) }),
    )
  }

  /** An id from the broker, to join and, if need be, to leave with. '' when it gives none. */
  async newMember(introduction: Introduction): Promise<string> {
    const { group, timing } = this.#options
    const request = { ...JOIN_GROUP, body: this.#joinBody(introduction), answer: readMemberId, timeoutMs: timing.rebalanceMs + JOIN_SPARE_MS }
    return this.#waiting.ask(`joining the group ${group}`, (broker) => sendRaw(broker, request))
  }

  /** Waits until the others have joined, too. `members` are told to the leader of the group alone. */
  async join(memberId: string, introduction: Introduction): Promise<Joined> {
    const { group, timing } = this.#options
    const metadata = encodeIntroduction(this.#options.topic, introduction)
    return this.#waiting.ask(`joining the group ${group}`, (broker) =>
      broker.joinGroup({
        groupId: group,
        memberId,
        sessionTimeout: timing.sessionMs,
        rebalanceTimeout: timing.rebalanceMs,
        protocolType: PROTOCOL_TYPE,
        groupProtocols: [{ name: PROTOCOL_NAME, metadata }],
      }),
    )
  }

  /** Waits for the leader's plan; `plan` is the leader's alone. */
  async sync({ memberId, generation }: Standing, plan: ReadonlyMap<string, Assigned> | null): Promise<Assigned> {
    const { group, topic } = this.#options
    const groupAssignment = [...(plan ?? [])].map(([id, assigned]) => ({ memberId: id, memberAssignment: encodeAssigned(topic, assigned) }))
    const { memberAssignment } = await this.#waiting.ask(`being assigned in the group ${group}`, (broker) =>
      broker.syncGroup({ groupId: group, generationId: generation, memberId, groupAssignment }),
    )
    return decodeAssigned(topic, memberAssignment)
  }

  async heartbeat({ memberId, generation }: Standing): Promise<void> {
    const { group } = this.#options
    await this.#quick.ask(`a heartbeat to the group ${group}`, (broker) =>
      broker.heartbeat({ groupId: group, groupGenerationId: generation, memberId }),
    )
  }

  async leave(memberId: string): Promise<void> {
    const { group } = this.#options
    await this.#quick.ask(`leaving the group ${group}`, (broker) => broker.leaveGroup({ groupId: group, memberId }))
  }

  /** For tools that show lag; nobody reads it here. Waits for the brokers' disks, so not beside heartbeats. */
  async commit({ memberId, generation }: Standing, next: ReadonlyMap<number, number>): Promise<void> {
    const { group, topic } = this.#options
    const partitions = [...next].map(([partition, offset]) => ({ partition, offset: String(offset) }))
    await this.#waiting.ask(`committing offsets of the group ${group}`, (broker) =>
      broker.offsetCommit({ groupId: group, groupGenerationId: generation, memberId, topics: [{ topic, partitions }] }),
    )
  }

  /** A join that waits for its answer rejects. */
  giveUpJoining(): void {
    this.#waiting.close()
  }

  /** Whatever waits for an answer rejects. */
  close(): void {
    this.#waiting.close()
    this.#quick.close()
  }

  #joinBody(introduction: Introduction): Buffer {
    const { group, topic, timing } = this.#options
    const metadata = encodeIntroduction(topic, introduction)
    const noId = ''
    const write = new WireWriter().string(group).int32(timing.sessionMs).int32(timing.rebalanceMs).string(noId).int16(NO_INSTANCE)
    return Buffer.concat([write.string(PROTOCOL_TYPE).int32(1).string(PROTOCOL_NAME).int32(metadata.length).done(), metadata])
  }
}

/** Connections to the coordinator for one kind of request; made anew when they break. */
class Side {
  readonly #options: GroupOptions
  readonly #open: () => Client
  #client: Client | null = null
  #coordinator: Promise<Broker> | null = null

  constructor(options: GroupOptions, open: () => Client) {
    this.#options = options
    this.#open = open
  }

  /** Rejects with a `PipelineError` whose cause says more: see `answerOf`. */
  async ask<T>(doing: string, request: (broker: Broker) => Promise<T>): Promise<T> {
    this.#client ??= this.#open()
    const client = this.#client
    this.#coordinator ??= this.#find(client)
    try {
      return await request(await this.#coordinator)
    } catch (error) {
      const answer = answerOf(error)
      if ((answer === 'no coordinator' || answer === 'other') && client === this.#client) this.close()
      throw trouble(error, { client, doing, access: { operation: 'Read', resource: 'group', name: this.#options.group } })
    } finally {
      // What kafkajs connected after it was given up would stay open.
      if (client !== this.#client) client.end()
    }
  }

  /** Whatever waits for an answer rejects; the next request opens anew. */
  close(): void {
    this.#coordinator = null
    this.#client?.end()
    this.#client = null
  }

  async #find(client: Client): Promise<Broker> {
    const { group, topic, kafka } = this.#options
    const cluster = client.cluster()
    await cluster.connect()
    await cluster.addMultipleTargetTopics([topic])
    // kafkajs's own search says 'not found' whatever a broker says, a missing access rule too.
    const asked = await anyBroker(cluster, kafka.random)
    const { coordinator } = await asked.findGroupCoordinator({ groupId: group, coordinatorType: COORDINATOR.group })
    return cluster.findBroker({ nodeId: coordinator.nodeId })
  }
}

async function anyBroker(cluster: Cluster, random: Random): Promise<Broker> {
  const nodes = cluster.getNodeIds()
  const first = Math.floor(random.fraction() * nodes.length)
  let failure: unknown = new Error('the brokers name no broker')
  for (let n = 0; n < nodes.length; n++) {
    try {
      return await cluster.findBroker({ nodeId: nodes[(first + n) % nodes.length]! })
    } catch (error) {
      failure = error // the next one may know
    }
  }
  throw failure
}

/** What `error`, from a request of a `GroupLink`, means to the member. */
export function answerOf(error: unknown): Answer {
  const type = protocolError(error)
  const known = ANSWERS.get(type)
  if (known) return known
  return type === '' || COORDINATOR_GONE.has(type) ? 'no coordinator' : 'other'
}

const COORDINATOR_GONE = new Set([
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'REQUEST_TIMED_OUT',
])

/** The members of a group, for `assign`. One that says nothing we understand claims nothing and gets nothing. */
export function candidatesOf({ members }: Joined): Candidate[] {
  return members.map(({ memberId, memberMetadata }) => ({ id: memberId, ...decodeIntroduction(memberMetadata) }))
}

/** JSON within the consumers' protocol: a few hundred bytes, and people can read it in a capture. */
function encodeIntroduction(topic: string, { name, claims, leaving, turn }: Introduction): Buffer {
  const userData = Buffer.from(JSON.stringify({ name, claims: Object.fromEntries(claims), leaving, turn }))
  return MemberMetadata.encode({ version: VERSION, topics: [topic], userData })
}

function decodeIntroduction(bytes: Buffer): Omit<Candidate, 'id'> {
  const said = parse(MemberMetadata.decode(bytes)?.userData)
  const claims = Object.entries(asRecord(said['claims'])).map(([partition, generation]) => [Number(partition), Number(generation)] as const)
  return {
    name: typeof said['name'] === 'string' ? said['name'] : '',
    claims: new Map(claims.filter(([partition, generation]) => Number.isInteger(partition) && Number.isInteger(generation))),
    leaving: said['leaving'] !== false,
  }
}

function encodeAssigned(topic: string, { partitions, holders }: Assigned): Buffer {
  const userData = Buffer.from(JSON.stringify({ holders: Object.fromEntries(holders) }))
  return MemberAssignment.encode({ version: VERSION, assignment: partitions.length > 0 ? { [topic]: [...partitions] } : {}, userData })
}

/** Nothing at all is what a member gets that the leader's plan left out. */
function decodeAssigned(topic: string, bytes: Buffer): Assigned {
  const decoded = MemberAssignment.decode(bytes)
  const holders = Object.entries(asRecord(parse(decoded?.userData)['holders']))
  return { partitions: decoded?.assignment[topic] ?? [], holders: new Map(holders.map(([partition, name]) => [Number(partition), String(name)])) }
}

function parse(userData: Buffer | null | undefined): Record<string, unknown> {
  if (!userData || userData.length === 0) return {}
  try {
    return asRecord(JSON.parse(userData.toString('utf8')))
  } catch {
    return {} // another kind of member: it says nothing that we understand
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** What else it may say is said again, and told, when the member joins. */
function readMemberId(answer: Buffer): string {
  const read = new WireReader(answer)
  read.int32() // throttle time
  const error = read.int16()
  read.int32() // generation
  const [, , memberId] = [read.string(), read.string(), read.string()] // protocol, leader, member
  return error === MEMBER_ID_REQUIRED || error === 0 ? memberId! : ''
}
