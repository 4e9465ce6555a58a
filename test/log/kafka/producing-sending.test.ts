/** What is known of a send that failed: whether its sequences may be used again. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { Route } from '../../../src/log/kafka/route.ts'
import { send, SendError } from '../../../src/log/kafka/sending.ts'
import type { Batch } from '../../../src/log/kafka/sending.ts'
import { withKafka } from '../../parts/suites.ts'
import { record } from '../journal/rig.ts'
import { never } from './reading-rig.ts'
import type { ReadingRig } from './reading-rig.ts'
import { Line, shareRig } from './writing-rig.ts'

const SMALL: Batch = { topic: 'incidents', partition: 0, records: [record('a')], bytes: 33 }
const BRIEF_MS = 200
const PATIENT_MS = 10_000

withKafka('a send', (kafka) => {
  let rig: ReadingRig
  const ends: (() => Promise<void>)[] = []

  beforeAll(async () => {
    rig = await shareRig(kafka.brokers, ['incidents'])
    // Who is said to lead a partition that was just made does not know of it, for a moment.
    await sendOn(new Line(), SMALL, PATIENT_MS)
  }, 60_000)
  afterEach(async () => {
    for (const end of ends.splice(0)) await end()
  })
  afterAll(() => rig.close())

  async function sendOn(line: Line, batch: Batch, retryMs = BRIEF_MS): Promise<unknown> {
    const options = { ...rig.options, socketFactory: line.open }
    const route = new Route({ options, purpose: 'test', attemptMs: 5_000 })
    ends.push(() => route.close())
    const { clock, random, prefix } = options
    const term = { clock, random, signal: never, deadline: clock.monotonic() + retryMs }
    const identity = { producerId: '-1', producerEpoch: -1 }
    return send(batch, { route, prefix, compression: 'none', identity, sequence: -1, term }).catch((error: unknown) => error)
  }

  it('that the broker refuses has written nothing', async () => {
    const large = { ...SMALL, records: [{ key: '', value: randomBytes(1_200_000) }], bytes: 1_200_032 }
    expect(await sendOn(new Line(), large)).toMatchObject({ name: 'SendError', isUnknown: false, cause: { code: 'BAD_CONFIG' } })
  })

  it('that never left has written nothing', async () => {
    const line = new Line()
    line.shut()
    expect(await sendOn(line, SMALL)).toMatchObject({ name: 'SendError', isUnknown: false, cause: { code: 'UNAVAILABLE' } })
  })

  it('whose answer was lost may have written, whatever comes after', async () => {
    const line = new Line()
    const lost = line.meet('produce', 'lose the answer')
    const sent = sendOn(line, SMALL)
    await lost
    line.shut()
    expect(await sent).toBeInstanceOf(SendError)
    expect(await sent).toMatchObject({ isUnknown: true, cause: { code: 'UNAVAILABLE' } })
  })
})
