/** `picket log read TOPIC`: what stands in the log, decoded, read-only beside a running Picket. */
import { Argument } from 'commander'
import type { Command } from 'commander'
import { PipelineError } from '../core/errors.ts'
import { TOPICS } from '../log/log.ts'
import type { Topic } from '../log/log.ts'
import { delay } from '../ops/clock.ts'
import { Failure } from './io.ts'
import type { CliIo, Output } from './io.ts'
import { decodedLine, decodeRecord } from './log-decode.ts'
import type { LogReader } from './log-reader.ts'
import { readConfigForLog, wholeNumber, withConfig } from './options.ts'
import type { ConfigOptions } from './options.ts'
import { visible } from './table.ts'

interface Options extends ConfigOptions {
  readonly from?: number
  readonly partition?: number
  readonly limit?: number
  readonly follow?: boolean
  readonly json?: boolean
}

/** Records read at a time. */
const RECORDS = 256
/** Between two looks for more, while following, ms. */
const FOLLOW_MS = 500
/** Damaged places named; further ones are counted. */
const DAMAGE_NAMED = 20

export function addLog(program: Command, io: CliIo): void {
  const log = program.command('log').description('look into the log')
  withConfig(log.command('read'))
    .description('print a topic of the log, decoded; works beside a running Picket and shows what is flushed')
    .addArgument(new Argument('<topic>').choices(Object.keys(TOPICS)))
    .option('--from <offset>', 'first offset, in each partition (default: the oldest kept)', wholeNumber(0))
    .option('--partition <number>', 'only this partition', wholeNumber(0))
    .option('--limit <count>', 'lines, at most', wholeNumber(1))
    .option('--follow', 'wait for more')
    .option('--json', 'one JSON object a line')
    .action(async (topic: Topic, options: Options) => {
      const reader = await io.openLog(readConfigForLog(options))
      try {
        await readTopic(io, reader, topic, options)
      } finally {
        warnOfDamage(io.stderr, reader)
        await reader.close()
      }
    })
}

async function readTopic(io: CliIo, reader: LogReader, topic: Topic, options: Options): Promise<void> {
  const next = await starts(reader, topic, options)
  const printer = makePrinter(io.stdout, options)
  for (;;) {
    let read = 0
    for (const [partition, from] of next) {
      const slice = await reader.read(topic, partition, from, RECORDS)
      if (!slice) {
        if (options.follow !== true) next.delete(partition)
        continue
      }
      read++
      if (slice.lost > 0) io.stderr.write(`partition ${partition}: ${slice.lost} records before offset ${slice.records[0]?.offset} are no longer kept\n`)
      next.set(partition, slice.next)
      for (const record of slice.records) {
        printer.print(decodeRecord(topic, partition, record))
        if (printer.isFull()) return printer.end()
      }
      // One partition to its end before the next begins, unless more may come to each at any time.
      if (options.follow !== true) break
    }
    if (read > 0) continue
    if (options.follow !== true) return printer.end()
    await delay(io.clock, FOLLOW_MS)
  }
}

/** A write that a crash cut short was never acknowledged, so nothing is missing there. */
function warnOfDamage(stderr: Output, reader: LogReader): void {
  const places = reader.damaged.filter(({ what }) => what !== 'torn')
  for (const { file, at, detail } of places.slice(0, DAMAGE_NAMED)) stderr.write(`damaged: ${file} at byte ${at}: ${detail}\n`)
  if (places.length > DAMAGE_NAMED) stderr.write(`damaged: ${places.length - DAMAGE_NAMED} more places\n`)
}

/** Where each partition to be read starts. Throws BAD_CONFIG. */
async function starts(reader: LogReader, topic: Topic, { from, partition }: Options): Promise<Map<number, number>> {
  const count = TOPICS[topic] === 'all' ? reader.partitions : 1
  if (partition !== undefined && partition >= count) throw new PipelineError('BAD_CONFIG', `--partition ${partition}: ${topic} has partitions 0 to ${count - 1}`)
  const wanted = partition === undefined ? Array.from({ length: count }, (_, number) => number) : [partition]
  const next = new Map<number, number>()
  for (const number of wanted) next.set(number, from ?? (await reader.bounds(topic, number)).low)
  return next
}

function makePrinter(stdout: Output, { json, limit = Infinity }: Options) {
  let lines = 0
  let broken = 0
  return {
    print(decoded: ReturnType<typeof decodeRecord>) {
      const shown = decoded.slice(0, limit - lines)
      lines += shown.length
      broken += shown.filter((one) => 'error' in one).length
      if (shown.length > 0) stdout.write(shown.map((one) => `${json ? JSON.stringify(one) : visible(decodedLine(one))}\n`).join(''))
    },
    isFull: () => lines >= limit,
    end() {
      if (broken > 0) throw new Failure(`${broken} records could not be decoded; each is shown with its error`)
    },
  }
}
