/** Runs verbs in process: what they print, how they end, against apps, brokers and logs in memory. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { makeServer } from '../../src/api/server.ts'
import type { Backups } from '../../src/cli/backups.ts'
import type { CliIo, Host, StopSignal } from '../../src/cli/io.ts'
import type { LogDamage, LogReader } from '../../src/cli/log-reader.ts'
import { runCli } from '../../src/cli/program.ts'
import type { Connect, PublisherOptions } from '../../src/cli/publisher.ts'
import type { StartPicket } from '../../src/cli/run.ts'
import type { LogRecord, StoredRecord, Topic } from '../../src/log/log.ts'
import type { Clock } from '../../src/ops/clock.ts'
import type { Logger } from '../../src/ops/logger.ts'
import { makePrometheus } from '../../src/ops/prometheus.ts'
import type { Random } from '../../src/ops/random.ts'
import type { Fleet } from '../api/fleet.ts'
import { ManualClock } from '../clock.ts'

const ignore = () => {}
export const silent: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }
export const fixedRandom: Random = { id: () => 'r1', fraction: () => 0 }

/** `fetch` to the real API over `fleet`, without a network. Other hosts than picket.test refuse the connection. */
export function fetchOf(fleet: Fleet, token: string | null = null): typeof fetch {
  const server = makeServer({
    token,
    listen: { host: '0.0.0.0', port: 0 },
    app: fleet,
    ...fleet.config,
    metrics: makePrometheus({ processMetrics: false }),
    logger: silent,
    clock: new ManualClock(),
    random: fixedRandom,
  })
  return async (input, init) => {
    const url = new URL(String(input))
    if (url.hostname !== 'picket.test') return refused(input, init)
    const answer = await server.inject({
      method: (init?.method ?? 'GET') as 'GET' | 'POST' | 'DELETE',
      url: `${url.pathname}${url.search}`,
      headers: (init?.headers ?? {}) as Record<string, string>,
      ...(typeof init?.body === 'string' ? { payload: init.body } : {}),
    })
    return new Response(answer.body, { status: answer.statusCode })
  }
}

/** `fetch` to the real APIs of several processes, by `host:port`; others refuse the connection. */
export function fetchAmong(fleets: Readonly<Record<string, Fleet>>, token: string | null = null): typeof fetch {
  const byHost = new Map(Object.entries(fleets).map(([host, fleet]) => [host, fetchOf(fleet, token)]))
  return async (input, init) => {
    const url = new URL(String(input))
    return (byHost.get(url.host) ?? refused)(`http://picket.test${url.pathname}${url.search}`, init)
  }
}

const refused: typeof fetch = async () => {
  throw new TypeError('fetch failed', { cause: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }) })
}

/** A broker that keeps what it takes; `take` decides when, and whether, it acknowledges. */
export class MemoryBroker {
  readonly messages: { readonly topic: string; readonly payload: string }[] = []
  readonly clients: PublisherOptions[] = []
  ended = 0
  private readonly take: (count: number) => Promise<void>

  constructor(take: (count: number) => Promise<void> = () => Promise.resolve()) {
    this.take = take
  }

  readonly connect: Connect = async (options) => {
    this.clients.push(options)
    return {
      publish: (topic, payload) => this.take(this.messages.push({ topic, payload })),
      end: async () => void this.ended++,
    }
  }

  get payloads(): unknown[] {
    return this.messages.map(({ payload }) => JSON.parse(payload) as unknown)
  }
}

/** Records of one topic, by partition, behind the reader's port. `low`: the oldest offset kept. */
export function readerOf(topic: Topic, partitions: readonly (readonly LogRecord[])[], low = 0, damaged: readonly LogDamage[] = []): LogReader & { readonly closed: () => number } {
  let closed = 0
  const stored = partitions.map((records) => records.map((record, offset): StoredRecord => ({ ...record, offset, time: 1_700_000_000_000 + offset })))
  return {
    partitions: partitions.length,
    damaged,
    bounds: async (asked, partition) => (asked === topic ? { low, high: stored[partition]?.length ?? 0 } : { low: 0, high: 0 }),
    async read(asked, partition, from, limit) {
      const first = Math.max(from, low)
      const records = asked === topic ? (stored[partition] ?? []).slice(first, first + limit) : []
      return records.length === 0 ? null : { partition, records, next: first + records.length, lost: first - from }
    },
    close: async () => void closed++,
    closed: () => closed,
  }
}

export class MemoryHost implements Host {
  readonly version = '1.2.3'
  readonly command = 'node dist/main.js'
  readonly exits: number[] = []
  signal: (signal: StopSignal) => void = ignore
  uncaught: (error: unknown) => void = ignore

  onSignal(each: (signal: StopSignal) => void): void {
    this.signal = each
  }

  reload: () => void = ignore

  onReload(each: () => void): void {
    this.reload = each
  }

  onUncaught(each: (error: unknown) => void): void {
    this.uncaught = each
  }

  exit(code: number): void {
    this.exits.push(code)
  }
}

export interface LabOptions {
  readonly fleet?: Fleet
  readonly fetch?: typeof fetch
  readonly broker?: MemoryBroker
  readonly reader?: LogReader
  readonly backups?: Backups
  readonly host?: MemoryHost
  readonly clock?: Clock
  readonly start?: StartPicket
  readonly isTerminal?: boolean
}

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** Lines of stdout, parsed. */
  readonly json: unknown[]
}

/** What is printed meanwhile can be read from `printed`. */
export function makeLab(options: LabOptions = {}) {
  const printed = { stdout: '', stderr: '' }
  const unused = (what: string) => () => Promise.reject(new Error(`the test brought no ${what}`))
  const io: CliIo = {
    stdout: { write: (text) => void (printed.stdout += text), isTerminal: options.isTerminal ?? false },
    stderr: { write: (text) => void (printed.stderr += text), isTerminal: options.isTerminal ?? false },
    fetch: options.fetch ?? (options.fleet ? fetchOf(options.fleet) : unused('fleet')),
    clock: options.clock ?? new ManualClock(),
    random: fixedRandom,
    connect: options.broker?.connect ?? unused('broker'),
    backups: options.backups ?? { backUp: unused('backups'), restore: unused('backups') },
    openLog: options.reader ? async () => options.reader as LogReader : unused('reader'),
    host: options.host ?? new MemoryHost(),
  }
  const run = async (...args: readonly string[]): Promise<Ended> => {
    const code = await runCli(args, io, options.start ?? unused('start'))
    return { code, ...printed, json: printed.stdout.split('\n').filter((line) => /^\{.*\}$/.test(line)).map((line) => JSON.parse(line) as unknown) }
  }
  return { io, printed, run }
}

/** A file that is gone after the test. */
export function aFile(name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'picket-cli-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

export function aConfig(text = 'listen: { mqtt: 127.0.0.1:18830, http: 127.0.0.1:18080 }\n'): string {
  return aFile('picket.yaml', text)
}
