/** The real parts themselves: they take what they are told, and are gone when the tests are. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type KafkaConfig, Kafka, logLevel } from 'kafkajs'
import { connect, connectAsync, type IClientOptions } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { KAFKA_USERS } from './kafka-doors.ts'
import { withKafka, withMosquitto } from './suites.ts'

/** Resolves with the number of brokers seen. */
async function look(config: KafkaConfig): Promise<number> {
  const admin = new Kafka({ logLevel: logLevel.NOTHING, retry: { retries: 0 }, ...config }).admin()
  try {
    await admin.connect()
    return (await admin.describeCluster()).brokers.length
  } finally {
    await admin.disconnect()
  }
}

withKafka('the shared Kafka', (kafka) => {
  it('lets anybody in by its plain door', async () => {
    expect(await look({ brokers: [...kafka.brokers] })).toBe(1)
  })
})

withKafka(
  'the doors of the shared Kafka',
  (kafka) => {
    it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('let a user in by %s with the right password only', async (mechanism) => {
      const as = (password: string) => ({ brokers: [kafka.doors!.sasl], sasl: { mechanism, username: 'admin', password } as never })
      expect(await look(as(KAFKA_USERS.admin))).toBe(1)
      await expect(look(as('wrong'))).rejects.toThrow(/authentication/i)
    })

    it('speak TLS with a certificate of the authority of this run', async () => {
      expect(await look({ brokers: [kafka.doors!.tls], ssl: { ca: kafka.doors!.ca } })).toBe(1)
      await expect(look({ brokers: [kafka.doors!.tls], ssl: { ca: kafka.doors!.strangerCa } })).rejects.toThrow(/certificate/i)
    })

    it('ask for a client certificate at the mutual one', async () => {
      const { ca, client, mutual } = kafka.doors!
      expect(await look({ brokers: [mutual], ssl: { ca, ...client } })).toBe(1)
      await expect(look({ brokers: [mutual], ssl: { ca } })).rejects.toThrow()
    })

    it('give a user without an ACL nothing', async () => {
      const { ca, saslTls } = kafka.doors!
      const sasl = { mechanism: 'scram-sha-512', username: 'nobody', password: KAFKA_USERS.nobody } as const
      const producer = new Kafka({ brokers: [saslTls], ssl: { ca }, sasl, logLevel: logLevel.NOTHING, retry: { retries: 0 } }).producer()
      await producer.connect()
      await expect(producer.send({ topic: 'of-others', messages: [{ value: 'x' }] })).rejects.toThrow(/authorized/)
      await producer.disconnect()
    })
  },
  { needsDoors: true },
)

const dial = (options: IClientOptions) => connectAsync({ host: '127.0.0.1', reconnectPeriod: 0, connectTimeout: 5000, ...options })

withMosquitto('Mosquitto with users and TLS', { users: { pump: 'secret' }, acl: 'user pump\ntopic write telemetry/pump\n', tls: {}, websockets: true }, (mosquitto) => {
  it('lets in by each door whoever has the password', async () => {
    const { port, tlsPort, wsPort, certificates } = mosquitto()
    const who = { username: 'pump', password: 'secret' }
    for (const door of [
      { port },
      { protocol: 'ws', port: wsPort } as const,
      { protocol: 'mqtts', port: tlsPort, ca: readFileSync(certificates!.ca) } as const,
    ]) {
      const client = await dial({ ...door, ...who })
      await client.endAsync()
    }
    await expect(dial({ port, username: 'pump', password: 'wrong' })).rejects.toThrow(/[Nn]ot authorized/)
  })
})

withMosquitto('Mosquitto with persistence', { persistence: true }, (mosquitto) => {
  it('keeps the queue of a session over a restart', async () => {
    const session = { clientId: 'reader', clean: false, port: mosquitto().port }
    const reader = await dial(session)
    await reader.subscribeAsync('a', { qos: 1 })
    await reader.endAsync()
    const writer = await dial({ port: mosquitto().port })
    await writer.publishAsync('a', 'kept', { qos: 1 })
    await writer.endAsync()
    await mosquitto().restart()
    const again = connect({ host: '127.0.0.1', reconnectPeriod: 0, ...session })
    const payload = await new Promise((resolve) => again.once('message', (_, said) => resolve(said.toString())))
    await again.endAsync()
    expect(payload).toBe('kept')
  })
})

describe('the watchdog', () => {
  const script = join(import.meta.dirname, 'watchdog.sh')

  it('ends what a process held that is gone', async () => {
    const [server, left] = [spawn('sleep', ['600']), spawn('sleep', ['600'])]
    const folder = mkdtempSync(join(tmpdir(), 'picket-watchdog-'))
    const dog = spawn('/bin/sh', [script], { stdio: ['pipe', 'ignore', 'ignore'] })
    const ended = once(server, 'exit')
    dog.stdin!.end(`+ pid ${server.pid}\n+ pid ${left.pid}\n+ dir ${folder}\n- pid ${left.pid}\n`)
    await once(dog, 'exit')
    expect((await ended)[1]).toBe('SIGKILL')
    expect(existsSync(folder)).toBe(false)
    expect(left.exitCode ?? left.signalCode).toBe(null)
    left.kill()
  })
})
