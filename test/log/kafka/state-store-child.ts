/** A process for `state-store-kill.test.ts`: takes a partition over, commits without end, and prints the number of each that was made: `child.mjs BROKER PREFIX`. */
import { writeSync } from 'node:fs'
import { openFeeds } from '../../../src/log/kafka/feeds.ts'
import type { KafkaOptions } from '../../../src/log/kafka/options.ts'
import { openStateStore } from '../../../src/log/kafka/state-store.ts'
import type { Write } from '../../../src/log/log.ts'
import { systemClock } from '../../../src/ops/clock.ts'
import { systemRandom } from '../../../src/ops/random.ts'

/** Of more than one send. */
const PAGES = 30
const PAGE_BYTES = 33_000
const STDOUT = 1

const [broker = '', prefix = ''] = process.argv.slice(2)
const ignore = () => undefined
const options: KafkaOptions = {
  clock: systemClock,
  random: systemRandom,
  logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  metrics: { counter: () => ({ add: ignore }), gauge: () => ({ set: ignore }), histogram: () => ({ observe: ignore }) },
  brokers: [broker],
  prefix,
  name: 'child',
  partitions: 1,
  key: '{device}',
  replication: 1,
  minInSync: 1,
  compression: 'none',
  tls: null,
  sasl: null,
  retention: { bytes: null, ageMs: null },
}

/** The incident comes half way. */
function* writes(n: number): Iterable<Write> {
  const state = (key: string, bytes: number): Write => ({ topic: 'state', partition: 0, key, value: Buffer.alloc(bytes, `${n} `) })
  for (let page = 0; page < PAGES; page++) {
    if (page === PAGES / 2) yield { topic: 'incidents', partition: 0, key: '', value: Buffer.from(`${n}`) }
    yield state(`page/${page}`, PAGE_BYTES)
  }
  yield state('header', `${n} `.length)
}

const store = openStateStore({ options, feeds: openFeeds(options), topic: 'state', partition: 0, transactionalId: `${prefix}detect-0` })
await store.fence()
let last = 0
await store.read((key, value) => {
  if (key === 'header') last = Number(Buffer.from(value).toString())
})
for (let n = last + 1; ; n++) {
  await store.transact(writes(n))
  writeSync(STDOUT, `${n}\n`)
}
