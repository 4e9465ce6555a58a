/** What the Kafka log needs to know: where the brokers are, how to come in, what its topics are to be like, and how fast a lost owner is noticed. */
import type { Socket } from 'node:net'
import type { Clock } from '../../ops/clock.ts'
import type { Logger } from '../../ops/logger.ts'
import type { Metrics } from '../../ops/metrics.ts'
import type { Random } from '../../ops/random.ts'
import type { Layout } from '../takeover.ts'

export const COMPRESSIONS = ['none', 'gzip', 'lz4', 'zstd'] as const
export type Compression = (typeof COMPRESSIONS)[number]

export interface SaslOptions {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

/** PEM texts; null: the system's, or none. */
export interface TlsOptions {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

/** Of a member of a group. The lease is two thirds of `sessionMs`, from the sending of the last answered heartbeat. */
export interface GroupTiming {
  /** After so long without a heartbeat the broker gives what a member had to others, ms; brokers allow 6,000 and more as a rule. */
  readonly sessionMs: number
  readonly heartbeatMs: number
  /**
   * After so long the others wait no more for a member that is alive and doesn't join again, ms. Twice the session: one that is not
   * alive is put out by that, and whoever waits goes on working, as its heartbeats do. Below it a member could be put out, and another
   * be given what it holds, while its lease still runs.
   */
  readonly rebalanceMs: number
}

export const GROUP_TIMING: GroupTiming = { sessionMs: 6_000, heartbeatMs: 1_000, rebalanceMs: 12_000 }

/** The layout is what the config asks for. */
export interface KafkaOptions extends Layout {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  /** `host:port`, one at least. */
  readonly brokers: readonly string[]
  /** Before every topic, group and transactional id, such as `picket.`; may be ''. */
  readonly prefix: string
  /** Unique among the processes of one prefix; others are told it as the owner of what this process holds: its HTTP address as a rule. */
  readonly name: string
  readonly replication: number
  readonly minInSync: number
  readonly compression: Compression
  readonly tls: TlsOptions | null
  readonly sasl: SaslOptions | null
  /** Of readings and dead letters, a partition; null: without end. */
  readonly retention: { readonly bytes: number | null; readonly ageMs: number | null }
  /** Left out: `GROUP_TIMING`. */
  readonly timing?: GroupTiming
  /** How sockets are made; left out: as kafkajs does. Tests cut them here. */
  readonly socketFactory?: (options: { readonly host: string; readonly port: number; readonly ssl: object | undefined; readonly onConnect: () => void }) => Socket
}
