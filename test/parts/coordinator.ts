/** The real parts of one test run: started when a test file first asks, one Kafka a version, kept for the run, ended with it; says what had to be left out. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { findProgram, KAFKA_VERSIONS } from '../../scripts/kafka-jars.mjs'
import { kafkaEngine } from './kafka-engine.ts'
import { type RunningKafka, startKafka } from './kafka.ts'
import { mosquittoMissing } from './mosquitto.ts'
import { PARTS, type Missing, type Part, type SharedKafka } from './parts.ts'

export class Coordinator {
  readonly #server: Server
  /** By version. */
  readonly #kafkas = new Map<string, Promise<RunningKafka>>()
  readonly #skipped = new Map<Part, Set<string>>()
  #missing: Promise<Missing> | null = null

  constructor() {
    this.#server = createServer((request, response) => {
      const url = new URL(request.url!, 'http://parts')
      this.#answer(url, response).catch((error: unknown) => {
        response.writeHead(500).end(error instanceof Error ? error.message : String(error))
      })
    })
    this.#server.unref()
  }

  /** Resolves with the address test files ask at. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Ends what was started. */
  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    const started = await Promise.allSettled(this.#kafkas.values())
    await Promise.all(started.map((one) => (one.status === 'fulfilled' ? one.value.stop() : undefined)))
  }

  /** A line for each part whose suites were left out. */
  closingLines(): string[] {
    return [...this.#skipped].map(([part, files]) => {
      const { name, needs } = PARTS[part]
      return `skipped: ${name} suites (they need ${needs}): ${files.size} file${files.size === 1 ? '' : 's'}`
    })
  }

  async #answer({ pathname, searchParams }: URL, response: ServerResponse): Promise<void> {
    if (pathname === '/missing') return json(response, await (this.#missing ??= missing()))
    if (pathname === '/skipped') {
      const part = searchParams.get('part') as Part
      this.#skipped.set(part, (this.#skipped.get(part) ?? new Set()).add(searchParams.get('file')!))
      return json(response, null)
    }
    const version = /^\/kafka\/(.+)$/.exec(pathname)?.[1]
    if (!version) throw new Error(`nothing is at ${pathname}`)
    return json(response, await this.#kafka(version))
  }

  async #kafka(version: string): Promise<SharedKafka> {
    const starting = this.#kafkas.get(version) ?? startKafka({ version, doors: true })
    this.#kafkas.set(version, starting)
    const { brokers, doors } = await starting
    return { brokers, doors }
  }
}

function json(response: ServerResponse, what: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(what))
}

/** Where Kafka can be had it is fetched by this. */
async function missing(): Promise<Missing> {
  const say = (line: string) => void process.stderr.write(`picket: ${line}\n`)
  const programs = { mosquitto: mosquittoMissing(), promtool: findProgram('promtool') ? null : 'no promtool' }
  for (const version of KAFKA_VERSIONS) {
    const engine = await kafkaEngine(version, say)
    if ('missing' in engine) return { kafka: engine.missing, ...programs }
  }
  return { kafka: null, ...programs }
}
