/** `picket replay FILE.csv`: the rows of a file as a device would send them, over MQTT. */
import { createReadStream } from 'node:fs'
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import type { Config } from '../config/config.ts'
import { errorText, isPipelineError, PipelineError } from '../core/errors.ts'
import { ruleOf } from '../core/topic-rule.ts'
import { readTls } from '../ingest/mqtt-tls.ts'
import { csvRows, detectDelimiter, splitRow } from './csv.ts'
import type { CsvRow, Delimiter } from './csv.ts'
import { Failure } from './io.ts'
import type { CliIo } from './io.ts'
import { collect, readConfig, urlHost, withConfig } from './options.ts'
import type { ConfigOptions } from './options.ts'
import type { PublisherOptions } from './publisher.ts'
import { makeRowReader, TIME_MODES } from './replay-rows.ts'
import type { RowReader, TimeMode } from './replay-rows.ts'
import { sendAll } from './replay-send.ts'
import type { Outgoing, Progress } from './replay-send.ts'
import { replayTopic } from './replay-topic.ts'
import { visible } from './table.ts'

interface Options extends ConfigOptions {
  readonly class: string
  readonly device: string
  readonly part: readonly string[]
  readonly speed: number
  readonly time: TimeMode
  readonly ignore?: readonly string[]
  readonly username?: string
  readonly password?: string
}

/** Columns that hold the answer of a labelled data set. */
const LABELS = ['anomaly', 'changepoint']
/** Bad rows named one by one; further ones are counted. */
const BAD_ROWS_NAMED = 20
/** Between two lines of progress, ms. */
const PROGRESS_MS = 200

export function addReplay(program: Command, io: CliIo): void {
  withConfig(program.command('replay'))
    .description('send the rows of a CSV file to Picket over MQTT, as a device would')
    .argument('<file>', 'CSV with , or ; and a header row, one column of it timestamp, datetime, time or ts')
    .requiredOption('--class <class>', 'class of the device')
    .requiredOption('--device <device>', 'name of the device')
    .option('--part <name=value>', 'another named part of the topic, such as site=north; repeatable', collect, [])
    .option('--speed <factor>', "times the file's own time; 0: as fast as it is taken", speedFactor, 1)
    .addOption(new Option('--time <mode>', "what messages say of their time: the file's, the moment they are sent, nothing").choices(TIME_MODES).default('file'))
    .option('--ignore <column>', `column that is not sent; repeatable (default: ${LABELS.join(', ')})`, (value: string, before: readonly string[] = []) => [...before, value])
    .option('--username <name>')
    .option('--password <password>')
    .action((file: string, options: Options) => replay(io, file, options))
}

async function replay(io: CliIo, file: string, options: Options): Promise<void> {
  const config = readConfig(options)
  const topic = replayTopic((config.sources[0]?.topics ?? []).map((entry) => ruleOf(entry).pattern), { class: options.class, device: options.device, parts: readParts(options.part) })
  const bad = badRows(io)
  const rows = await openRows(file, { ignore: options.ignore ?? LABELS, time: options.time, onBad: bad.add })
  const publisher = await io.connect({
    ...(await brokerOf(config)),
    clientId: `picket-replay-${io.random.id()}`,
    username: options.username ?? null,
    password: options.password ?? null,
  })
  const start = io.clock.monotonic()
  try {
    const { sent, acked } = await sendAll(rows, { publisher, topic, clock: io.clock, speed: options.speed, onProgress: progressLine(io) })
    io.stderr.write(clearLine(io))
    const seconds = ((io.clock.monotonic() - start) / 1000).toFixed(1)
    io.stdout.write(`${sent} sent, ${acked} acked, ${seconds} s, to ${visible(topic)}\n`)
  } finally {
    await publisher.end()
  }
  if (bad.count() > 0) throw new Failure(`${bad.count()} rows of ${file} were not sent`)
}

/** Where devices of the first source connect: its broker, or Picket's own. Throws BAD_CONFIG. */
async function brokerOf({ sources: [source], listen: { mqtt } }: Config): Promise<Pick<PublisherOptions, 'url' | 'tls'>> {
  if (!source?.mqtt) return { url: `mqtt://${urlHost(mqtt.host)}:${mqtt.port}`, tls: null }
  return { url: source.mqtt.url, tls: source.mqtt.tls && (await readTls(source.mqtt.tls, 'sources.0.mqtt.tls')) }
}

interface RowOptions {
  readonly ignore: readonly string[]
  readonly time: TimeMode
  readonly onBad: (line: number, error: PipelineError) => void
}

/** The header is read at once, so that a file that can't be replayed is refused before anything is sent. Throws BAD_CONFIG. */
async function openRows(file: string, options: RowOptions): Promise<AsyncIterable<Outgoing>> {
  const rows = csvRows(createReadStream(file, { encoding: 'utf8' }))
  try {
    const { value: header } = await rows.next()
    if (!header) throw new PipelineError('BAD_CONFIG', 'the file is empty; expected a header row and rows')
    const delimiter = detectDelimiter(header.text)
    return outgoing(rows, delimiter, makeRowReader(splitRow(header.text, delimiter), options.ignore), options)
  } catch (error) {
    await rows.return(undefined)
    throw new PipelineError('BAD_CONFIG', `${file}: ${errorText(error)}`, { cause: error })
  }
}

async function* outgoing(rows: AsyncIterable<CsvRow>, delimiter: Delimiter, read: RowReader, { time: mode, onBad }: RowOptions): AsyncGenerator<Outgoing> {
  for await (const { line, text } of rows) {
    try {
      const { time, values } = read(splitRow(text, delimiter))
      yield { time, payload: (now) => JSON.stringify(mode === 'none' ? values : { ts: mode === 'now' ? now : time, ...values }) }
    } catch (error) {
      if (!isPipelineError(error, 'REFUSED')) throw error
      onBad(line, error)
    }
  }
}

function badRows(io: CliIo) {
  let count = 0
  return {
    count: () => count,
    add(line: number, error: PipelineError) {
      count++
      if (count <= BAD_ROWS_NAMED) io.stderr.write(`${clearLine(io)}line ${line}: ${visible(error.message)}\n`)
      if (count === BAD_ROWS_NAMED) io.stderr.write('further bad rows are only counted\n')
    },
  }
}

function progressLine(io: CliIo): (progress: Progress) => void {
  let next = 0
  return ({ sent, acked }) => {
    if (!io.stderr.isTerminal || io.clock.monotonic() < next) return
    next = io.clock.monotonic() + PROGRESS_MS
    io.stderr.write(`${clearLine(io)}${sent} sent, ${acked} acked`)
  }
}

/** Wipes the line of progress off a terminal. */
function clearLine({ stderr }: CliIo): string {
  return stderr.isTerminal ? '\r\x1b[K' : ''
}

function readParts(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw new PipelineError('BAD_CONFIG', `--part ${text}: expected NAME=VALUE, such as site=north`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

function speedFactor(text: string): number {
  const speed = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN
  if (!(speed <= 1e9)) throw new InvalidArgumentError('Expected a number from 0, such as 60.')
  return speed
}
