/** A process that owns what it is given and acts on it all the time: `stopped-child.mjs BROKERS PREFIX NAME`; a line on stdout for each effect. */
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isPipelineError } from '../../../src/core/errors.ts'
import { openKafka } from '../../../src/log/kafka/kafka.ts'
import type { Partition } from '../../../src/log/log.ts'
import { kafkaOptions, QUICK } from './member-rig.ts'

const STDOUT = 1
const EFFECT_MS = 5
const [brokers = '', prefix = '', name = ''] = process.argv.slice(2)

const log = await openKafka(kafkaOptions(brokers.split(','), { prefix, name, timing: QUICK }))

function say(line: object): void {
  writeSync(STDOUT, `${JSON.stringify(line)}\n`)
}

/** It never asks whether it may: the log has to say no. */
async function act(owned: Partition, epoch: number): Promise<void> {
  for (let n = 0; ; n++) {
    const value = Buffer.from(JSON.stringify({ by: name, epoch, n }))
    const kind = n % 2 === 0 ? 'commit' : 'append'
    try {
      if (kind === 'append') await log.append('incidents', owned.number, [{ key: '', value }])
      else await owned.commit([{ topic: 'incidents', partition: owned.number, key: '', value }], { next: new Map(), incarnation: '' })
      say({ partition: owned.number, epoch, n, kind })
    } catch (error) {
      say({ partition: owned.number, epoch, n, kind, code: isPipelineError(error) ? error.code : String(error) })
      return
    }
    await sleep(EFFECT_MS)
  }
}

await log.consume(async (owned) => {
  const { epoch } = await owned.restore(() => undefined)
  say({ partition: owned.number, epoch, kind: 'term' })
  void act(owned, epoch)
  return { task: { process: async () => undefined, close: async () => undefined }, from: 0 }
}, new AbortController().signal)
