/** What Kafka's errors become: what passes, what stops, and what people are told. */
import * as kafkajs from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../../src/core/errors.ts'
import { openClient } from '../../../src/log/kafka/client.ts'
import { protocolError, trouble } from '../../../src/log/kafka/trouble.ts'
import { optionsFor } from './reading-rig.ts'

const sasl = { mechanism: 'plain', username: 'picket', password: 'secret' } as const
const client = openClient(optionsFor(['kafka:9092'], { sasl }), 'test')
const doing = { client, doing: 'writing readings/3', access: { operation: 'Write', resource: 'topic', name: 'readings' } } as const

/** kafkajs's classes take more than their types say. */
type Maker = new (...args: unknown[]) => Error
const makers = kafkajs as unknown as Record<string, Maker>
const { KafkaJSProtocolError, KafkaJSConnectionError, KafkaJSNumberOfRetriesExceeded, KafkaJSAggregateError } = makers

function protocol(type: string, message = 'what the broker said'): Error {
  return new KafkaJSProtocolError!({ type, code: 1, message, retriable: false })
}

function retriesExceeded(cause: Error): Error {
  return new KafkaJSNumberOfRetriesExceeded!(cause, { retryCount: 5, retryTime: 100 })
}

describe("Kafka's errors", () => {
  it.each([
    ['NOT_LEADER_FOR_PARTITION', 'UNAVAILABLE'],
    ['UNKNOWN_TOPIC_OR_PARTITION', 'UNAVAILABLE'],
    ['NOT_ENOUGH_REPLICAS', 'UNAVAILABLE'],
    ['KAFKA_STORAGE_ERROR', 'IO'],
    ['INVALID_PRODUCER_EPOCH', 'FENCED'],
    ['TOPIC_AUTHORIZATION_FAILED', 'UNAUTHORIZED'],
    ['MESSAGE_TOO_LARGE', 'BAD_CONFIG'],
    ['INVALID_SESSION_TIMEOUT', 'BAD_CONFIG'],
  ])('%s is %s, with who was asked and what for', (type, code) => {
    const met = trouble(protocol(type), doing)
    expect(met).toMatchObject({ code, message: expect.stringMatching(/^Kafka at kafka:9092: writing readings\/3: /) })
    expect(met.message).toContain(type)
  })

  it('are seen through the errors around them', () => {
    expect(protocolError(retriesExceeded(protocol('OFFSET_OUT_OF_RANGE')))).toBe('OFFSET_OUT_OF_RANGE')
    expect(protocolError(new KafkaJSAggregateError!('of many', [protocol('TOPIC_ALREADY_EXISTS')]))).toBe('TOPIC_ALREADY_EXISTS')
    expect(protocolError(new Error('none'))).toBe('')
  })

  it('that kafkajs does not know yet are told by their number', () => {
    expect(trouble(protocol('KAFKAJS_UNKNOWN_ERROR_CODE', 'Unknown error code 90'), doing)).toMatchObject({ code: 'FENCED' })
    expect(protocolError(protocol('KAFKAJS_UNKNOWN_ERROR_CODE', 'Unknown error code 123'))).toBe('ERROR_123')
  })

  it('of who may not name the rule that is missing', () => {
    expect(trouble(protocol('TOPIC_AUTHORIZATION_FAILED'), doing).message).toContain(
      "kafka-acls.sh --bootstrap-server kafka:9092 --add --allow-principal User:picket --operation Write --topic 'readings'",
    )
  })

  it('of a wrong password name the user and never the password', () => {
    const met = trouble(new makers['KafkaJSSASLAuthenticationError']!('SASL PLAIN authentication failed'), doing)
    expect(met).toMatchObject({ code: 'UNAUTHORIZED', message: expect.stringContaining('the user picket: check log.kafka.sasl') })
    expect(met.message).not.toContain('secret')
  })

  it('of the network pass, and say where to look when it is the certificate', () => {
    const refused = retriesExceeded(new KafkaJSConnectionError!('Connection error: connect ECONNREFUSED'))
    expect(trouble(refused, doing)).toMatchObject({ code: 'UNAVAILABLE', retriable: true })
    const met = trouble(new KafkaJSConnectionError!('Connection error: self-signed certificate'), doing)
    expect(met).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('log.kafka.tls') })
  })

  it('that are ours already stay as they are, and so do mistakes of the program', () => {
    const own = new PipelineError('CLOSED', 'closed')
    const mistake = new TypeError('x is not a function')
    expect(trouble(own, doing)).toBe(own)
    expect(trouble(mistake, doing)).toBe(mistake)
  })
})
