/** The types of what we use of kafkajs's own cluster and brokers, which it keeps behind a private symbol: `client.ts` opens them. */
import type { Message, PartitionMetadata } from 'kafkajs'

/** A partition's offset, as kafkajs takes and gives 64-bit numbers: in decimal. */
export interface OffsetEntry {
  readonly partition: number
  readonly offset: string
}

/**
 * A request of the protocol that kafkajs has no, or no fitting, code for. `body` is all after the header; `answer` gets the same of the
 * response.
 */
export interface RawRequest<T> {
  readonly apiKey: number
  readonly apiVersion: number
  readonly apiName: string
  readonly body: Buffer
  readonly answer: (payload: Buffer) => T | Promise<T>
  /** Of the answer, ms; left out: the client's. The longer of both holds. */
  readonly timeoutMs?: number
}

/** What a JoinGroup gives; `members` is empty for all but the leader of the group. */
export interface Joined {
  readonly generationId: number
  readonly groupProtocol: string
  readonly leaderId: string
  readonly memberId: string
  readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
}

/** What we use of kafkajs's Broker. Everything rejects with kafkajs's errors: see `trouble.ts`. */
export interface Broker {
  readonly nodeId: number | null
  isConnected(): boolean
  connect(): Promise<void>
  /** Waits for the answers to what is under way. */
  disconnect(): Promise<void>
  listOffsets(request: {
    readonly replicaId: number
    /** 0: to the high watermark; 1: to the last stable offset. */
    readonly isolationLevel: number
    /** `timestamp` -1: the newest; -2: the oldest kept. */
    readonly topics: readonly { topic: string; partitions: readonly { partition: number; timestamp: number }[] }[]
  }): Promise<{ readonly responses: readonly { topic: string; partitions: readonly OffsetEntry[] }[] }>
  /** Of a group or, by `COORDINATOR.transaction`, of a transactional id. */
  findGroupCoordinator(request: {
    readonly groupId: string
    readonly coordinatorType: number
  }): Promise<{ readonly coordinator: { readonly nodeId: number; readonly host: string; readonly port: number } }>
  /** Asks again by itself with the member id it is given. Blocks the broker's connection of this cluster until the group has joined. */
  joinGroup(request: {
    readonly groupId: string
    readonly sessionTimeout: number
    readonly rebalanceTimeout: number
    readonly memberId: string
    readonly protocolType: string
    readonly groupProtocols: readonly { name: string; metadata: Buffer }[]
  }): Promise<Joined>
  /** `groupAssignment` is empty for all but the leader of the group. */
  syncGroup(request: {
    readonly groupId: string
    readonly generationId: number
    readonly memberId: string
    readonly groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[]
  }): Promise<{ readonly memberAssignment: Buffer }>
  heartbeat(request: { readonly groupId: string; readonly groupGenerationId: number; readonly memberId: string }): Promise<unknown>
  leaveGroup(request: { readonly groupId: string; readonly memberId: string }): Promise<unknown>
  offsetCommit(request: {
    readonly groupId: string
    readonly groupGenerationId: number
    readonly memberId: string
    readonly topics: readonly { topic: string; partitions: readonly OffsetEntry[] }[]
  }): Promise<unknown>
  /** Of one topic: rejects with an aggregate of what the controller says of each. */
  createTopics(request: {
    readonly topics: readonly {
      topic: string
      numPartitions: number
      replicationFactor: number
      configEntries: readonly { name: string; value: string }[]
    }[]
    readonly timeout: number
  }): Promise<unknown>
  /** `type` 2 is a topic. Rejects when one of them may not be described. */
  describeConfigs(request: { readonly resources: readonly { type: number; name: string; configNames: readonly string[] }[] }): Promise<{
    readonly resources: readonly { resourceName: string; configEntries: readonly { configName: string; configValue: string }[] }[]
  }>
  describeGroups(request: { readonly groupIds: readonly string[] }): Promise<{
    readonly groups: readonly {
      groupId: string
      state: string
      members: readonly { memberId: string; clientId: string; memberMetadata: Buffer; memberAssignment: Buffer }[]
    }[]
  }>
  initProducerId(request: {
    readonly transactionalId?: string | undefined
    readonly transactionTimeout: number
  }): Promise<{ readonly producerId: string; readonly producerEpoch: number }>
  addPartitionsToTxn(request: {
    readonly transactionalId: string
    readonly producerId: string
    readonly producerEpoch: number
    readonly topics: readonly { topic: string; partitions: readonly number[] }[]
  }): Promise<unknown>
  endTxn(request: {
    readonly transactionalId: string
    readonly producerId: string
    readonly producerEpoch: number
    readonly transactionResult: boolean
  }): Promise<unknown>
  produce(request: {
    readonly topicData: readonly {
      topic: string
      partitions: readonly { partition: number; firstSequence: number; messages: readonly Message[] }[]
    }[]
    readonly acks: number
    readonly timeout: number
    readonly compression: number
    readonly transactionalId?: string | undefined
    readonly producerId?: string
    readonly producerEpoch?: number
  }): Promise<{
    readonly topics: readonly {
      topicName: string
      partitions: readonly { partition: number; errorCode: number; baseOffset: string; logAppendTime: string }[]
    }[]
  }>
}

/**
 * What we use of kafkajs's Cluster. It keeps two connections a broker, fetches on one and all else on the other, and a broker serves
 * one request a connection at a time. So what may wait long (a join) has a cluster of its own.
 */
export interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  isConnected(): boolean
  /** Names topics that `refreshMetadata` is to ask for, and asks when one is new. */
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  /** Asks for the brokers and for the topics named. Topics that are unknown, and partitions without a leader, are in the answer as such. */
  refreshMetadata(): Promise<void>
  /** Connected. Rejects, after having asked for the metadata anew, when the broker is unknown or can't be reached. */
  findBroker(node: { readonly nodeId: string | number }): Promise<Broker>
  findControllerBroker(): Promise<Broker>
  /** A transactional id goes by the name `groupId`, too. */
  findGroupCoordinator(group: { readonly groupId: string; readonly coordinatorType?: number }): Promise<Broker>
  /** As of the last metadata; empty for a topic not known; the leader -1 where there is none. */
  findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[]
  getNodeIds(): readonly string[]
}
