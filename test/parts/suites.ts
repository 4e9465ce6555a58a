/** Suites that need a real Kafka or Mosquitto: skipped by name where there is none, failed where CI should have had one. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { KAFKA_VERSIONS } from '../../scripts/kafka-jars.mjs'
import { type KafkaWanted, type RunningKafka, startKafka } from './kafka.ts'
import { type MosquittoWanted, type RunningMosquitto, startMosquitto } from './mosquitto.ts'
import { type Missing, type Part, PARTS, type SharedKafka } from './parts.ts'

const START_MS = 180_000
const GIVEN = process.env['KAFKA_BROKERS']?.split(',').filter(Boolean) ?? []
const MUST_HAVE = !['', '0', 'false'].includes(process.env['CI'] ?? '')

async function ask<Answer>(path: string): Promise<Answer> {
  const response = await fetch(`${inject('parts')}${path}`)
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as Answer
}

const missing = await ask<Missing>('/missing')

/** What stands behind is there from `beforeAll` on: read it within tests and hooks. */
export interface KafkaOfSuite extends SharedKafka {
  /** `given`: that of KAFKA_BROKERS. */
  readonly version: string
}

export interface SuiteOptions {
  /** Left out: all that Picket is tested with. */
  readonly versions?: readonly string[]
  /** It asks for TLS, SASL or ACLs, which that of KAFKA_BROKERS may not have. */
  readonly needsDoors?: boolean
}

/** The suite once for each version, on a broker that all files of the run share; or once on that of KAFKA_BROKERS. */
export function withKafka(name: string, body: (kafka: KafkaOfSuite) => void, { versions = KAFKA_VERSIONS, needsDoors = false }: SuiteOptions = {}): void {
  if (GIVEN.length > 0 && !needsDoors) givenSuite(name, body)
  else for (const version of versions) sharedSuite(name, version, body)
}

function givenSuite(name: string, body: (kafka: KafkaOfSuite) => void): void {
  describe(`${name} (Kafka at KAFKA_BROKERS)`, () => {
    body({ version: 'given', brokers: GIVEN, doors: null })
  })
}

function sharedSuite(name: string, version: string, body: (kafka: KafkaOfSuite) => void): void {
  suite('kafka', `${name} (Kafka ${version})`, () => {
    const shared = late<SharedKafka>()
    beforeAll(async () => shared.set(await ask<SharedKafka>(`/kafka/${version}`)), START_MS)
    body({
      version,
      get brokers() {
        return shared.get().brokers
      },
      get doors() {
        return shared.get().doors
      },
    })
  })
}

/** The suite with brokers of its own, which it may kill; `kafka` answers within tests and hooks. */
export function withOwnKafka(name: string, wanted: KafkaWanted, body: (kafka: () => RunningKafka) => void): void {
  suite('kafka', `${name} (Kafka ${wanted.version})`, () => {
    const running = late<RunningKafka>()
    beforeAll(async () => running.set(await startKafka(wanted)), START_MS)
    afterAll(() => running.peek()?.stop())
    body(running.get)
  })
}

/** The suite with a Mosquitto of its own; `mosquitto` answers within tests and hooks. */
export function withMosquitto(name: string, wanted: MosquittoWanted, body: (mosquitto: () => RunningMosquitto) => void): void {
  suite('mosquitto', name, () => {
    const running = late<RunningMosquitto>()
    beforeAll(async () => running.set(await startMosquitto(wanted)), START_MS)
    afterAll(() => running.peek()?.stop())
    body(running.get)
  })
}

/** The suite where promtool is; it is called by its name. */
export function withPromtool(name: string, body: () => void): void {
  suite('promtool', name, body)
}

function suite(part: Part, name: string, body: () => void): void {
  const reason = missing[part]
  const isWanting = reason !== null
  const what = isWanting ? `${name} [needs ${PARTS[part].needs}; here: ${reason}]` : name
  const file = expect.getState().testPath ?? name
  // A skipped suite runs no hook; what lists its tests is waited for.
  describe.skipIf(isWanting)(what, async () => {
    if (isWanting) await ask(`/skipped?part=${part}&file=${encodeURIComponent(file)}`)
    body()
  })
  const fail = isWanting && MUST_HAVE ? it : null
  fail?.(`CI has a ${PARTS[part].name}`, () => expect.fail(`npm run parts gets what is missing: ${reason}`))
}

/** A value that hooks set before tests read it. */
function late<T>(): { set(value: T): void; get(): T; peek(): T | undefined } {
  const held: { value?: T } = {}
  return {
    set: (value) => void (held.value = value),
    get: () => {
      if (held.value === undefined) throw new Error('it is started by beforeAll: ask within a test or a hook')
      return held.value
    },
    peek: () => held.value,
  }
}
