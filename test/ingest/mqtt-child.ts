/** A process for one test: a source that writes each message to a file before it is acknowledged, until it is killed. Arguments: URL, version, client id, file. */
import { openSync, writeSync } from 'node:fs'
import { createMqttSource } from '../../src/ingest/mqtt.ts'
import { systemClock } from '../../src/ops/clock.ts'
import { systemRandom } from '../../src/ops/random.ts'

const STDOUT = 1
const [url = '', version = '', clientId = '', file = ''] = process.argv.slice(2)
const out = openSync(file, 'a')
const nothing = () => undefined
const source = createMqttSource({
  name: 'field', url, version: version === '5' ? 5 : '3.1.1', username: null, password: null, tls: null, clientId, topics: [`${clientId}/{device}`], nameLength: 64,
  clock: systemClock,
  random: systemRandom,
  logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  metrics: {
    counter: () => ({ add: nothing }),
    gauge: () => ({ set: (value) => value === 1 && writeSync(STDOUT, 'up\n') }),
    histogram: () => ({ observe: nothing }),
  },
  reconnect: { firstMs: 20, mostMs: 100 },
})
let batch: { readonly line: string; readonly taken: () => void }[] = []

await source.start(({ payload, dup }) => {
  return new Promise((resolve) => {
    if (batch.length === 0) setTimeout(flush, 5)
    batch.push({ line: `${Buffer.from(payload).toString()} ${dup ? 'dup' : 'new'}\n`, taken: resolve })
  })
})

/** As a log does: many messages in one write, and only then are they taken. */
function flush(): void {
  const written = batch
  batch = []
  writeSync(out, written.map(({ line }) => line).join(''))
  for (const { taken } of written) taken()
}
