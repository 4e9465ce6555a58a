/** What kafkajs throws, as the pipeline's errors: which of them pass, which stop the process, and what people are to do about it. */
import { isPipelineError, errorText, PipelineError } from '../../core/errors.ts'
import type { ErrorCode } from '../../core/errors.ts'
import type { Client } from './client.ts'

/** An access rule, as `kafka-acls.sh` takes it. */
export interface Access {
  readonly operation: 'Read' | 'Write' | 'Create' | 'Describe' | 'DescribeConfigs'
  readonly resource: 'topic' | 'group' | 'transactional-id' | 'cluster'
  /** Left out for the cluster. */
  readonly name?: string
}

export interface Doing {
  readonly client: Client
  /** For people, after "Kafka at HOSTS: ": `reading picket.readings/3`. */
  readonly doing: string
  /** What the credentials need for it; named when they are refused. */
  readonly access?: Access
}

/** The link of `error`'s chain of causes that says what the matter is: kafkajs wraps in its retries, some of them without the type. */
interface Root {
  readonly name: string
  readonly message: string
  /** The protocol's error, such as `NOT_LEADER_FOR_PARTITION`; '' for what no broker said. */
  readonly type: string
}

const DEEPEST = 8

const FENCED = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
  'TRANSACTION_COORDINATOR_FENCED',
  'FENCED_INSTANCE_ID',
])

const DENIED = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'SECURITY_DISABLED',
])

/** What someone has to change in the brokers or in the config before the same request can work. */
const WRONG: ReadonlyMap<string, string> = new Map([
  ['MESSAGE_TOO_LARGE', 'the topic takes no batch of that size: raise its max.message.bytes to 1048588 at least'],
  ['RECORD_LIST_TOO_LARGE', 'the topic takes no batch of that size: raise its max.message.bytes and segment.bytes'],
  ['UNSUPPORTED_COMPRESSION_TYPE', 'the broker does not take that compression: choose another log.kafka.compression'],
  ['UNSUPPORTED_SASL_MECHANISM', 'the broker does not take that log.kafka.sasl.mechanism'],
  ['UNSUPPORTED_VERSION', 'the broker is too old or too new: Kafka 2.3 and later are spoken to'],
  ['INVALID_REPLICATION_FACTOR', 'there are fewer brokers than log.kafka.replication asks for'],
  ['INVALID_CONFIG', 'the broker refuses a setting of the topic'],
  ['POLICY_VIOLATION', "the broker's own policy refuses it"],
  ['INVALID_TOPIC_EXCEPTION', 'a topic can not be called so: choose another log.kafka.prefix'],
  ['INVALID_SESSION_TIMEOUT', "the session lies outside the broker's group.min.session.timeout.ms and group.max.session.timeout.ms"],
  ['INVALID_TRANSACTION_TIMEOUT', "the time for a transaction lies above the broker's transaction.max.timeout.ms"],
  ['INVALID_GROUP_ID', 'a group can not be called so: choose another log.kafka.prefix'],
  ['INCONSISTENT_GROUP_PROTOCOL', 'the group has members of another kind: choose another log.kafka.prefix'],
])

/** Of the disk or the log of a broker; another try, or another broker, may do. */
const BROKEN = new Set(['KAFKA_STORAGE_ERROR', 'CORRUPT_MESSAGE', 'LOG_DIR_NOT_FOUND', 'UNKNOWN', 'INVALID_RECORD'])

/** The protocol's error within `error`, such as `OFFSET_OUT_OF_RANGE`; '' when no broker said one. */
export function protocolError(error: unknown): string {
  return rootOf(error).type
}

/** `error` as a `PipelineError`. What comes from neither kafkajs nor the network is a mistake of ours and comes back as it is. */
export function trouble(error: unknown, { client, doing, access }: Doing): Error {
  if (isPipelineError(error)) return error
  const root = rootOf(error)
  const made = (code: ErrorCode, text: string) => new PipelineError(code, `Kafka at ${client.brokers}: ${doing}: ${text}`, { cause: error })
  if (root.name === 'KafkaJSSASLAuthenticationError' || root.type === 'SASL_AUTHENTICATION_FAILED') {
    const { sasl } = client.options
    return made('UNAUTHORIZED', `the brokers refuse the user ${sasl?.username ?? '(none)'}: check log.kafka.sasl (${root.message})`)
  }
  if (DENIED.has(root.type)) return made('UNAUTHORIZED', `${root.type}: ${accessText(client, access)}`)
  if (FENCED.has(root.type)) return made('FENCED', `another has taken over (${root.type})`)
  const wrong = WRONG.get(root.type)
  if (wrong !== undefined) return made('BAD_CONFIG', `${root.type}: ${wrong}`)
  if (root.name === 'KafkaJSNotImplemented') return made('BAD_CONFIG', root.message)
  if (BROKEN.has(root.type)) return made('IO', `${root.type}: ${root.message}`)
  if (isForeign(error)) return made('UNAVAILABLE', root.type === '' ? reachText(client, root.message) : `${root.type}: ${root.message}`)
  return error instanceof Error ? error : new Error(errorText(error))
}

/** The line that grants `access`. */
function accessText(client: Client, access: Access | undefined): string {
  const user = client.options.sasl?.username ?? 'NAME'
  if (!access) return `the user ${user} may not do that: grant it with kafka-acls.sh`
  const resource = access.resource === 'cluster' ? '--cluster' : `--${access.resource} '${access.name ?? '*'}'`
  return (
    `the user may not: grant it with kafka-acls.sh --bootstrap-server ${client.options.brokers[0] ?? 'HOST:PORT'} --add ` +
    `--allow-principal User:${user} --operation ${access.operation} ${resource}`
  )
}

function reachText(client: Client, message: string): string {
  // A door that is spoken to in another way than it expects says no more than this.
  if (message === 'Closed connection') return `${message}: the broker ended, or it expects other log.kafka.tls and log.kafka.sasl`
  const isCertificate = /certificate|self.signed|altname|SSL|TLS/i.test(message)
  if (!isCertificate) return message
  return client.options.tls ? `${message}: check log.kafka.tls` : `${message}: the brokers ask for TLS, set log.kafka.tls`
}

/** kafkajs's, or the system's about a socket. */
function isForeign(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.name.startsWith('KafkaJS') || typeof (error as { code?: unknown }).code === 'string'
}

function rootOf(error: unknown): Root {
  let link: unknown = error
  let best: Root = { name: '', message: errorText(error), type: '' }
  for (let depth = 0; depth < DEEPEST && link instanceof Error; depth++) {
    const found = { name: link.name, message: link.message, type: typeOf(link) }
    // The innermost is the first to have said it; a type is worth more than the words around it.
    if (found.type !== '' || best.type === '') best = found
    const { errors } = link as { errors?: unknown }
    link = link.cause ?? (Array.isArray(errors) ? errors[0] : undefined)
  }
  return best
}

/** Codes that kafkajs doesn't know come by number in its text. */
const NEWER: ReadonlyMap<string, string> = new Map([
  ['90', 'PRODUCER_FENCED'],
  ['120', 'TRANSACTION_ABORTABLE'],
])

function typeOf(error: Error): string {
  const { type } = error as { type?: unknown }
  if (typeof type !== 'string') return ''
  if (type !== 'KAFKAJS_UNKNOWN_ERROR_CODE') return type
  const number = /(\d+)$/.exec(error.message)?.[1] ?? ''
  return NEWER.get(number) ?? `ERROR_${number}`
}
