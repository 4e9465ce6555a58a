/** The built service as a process of its own: started, killed without mercy, started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'

const MAIN = 'dist/main.js'
const START_MS = 20_000

export interface ServiceOptions {
  readonly config: string
  readonly http: string
  /** For Node itself, before the program. */
  readonly nodeArgs?: readonly string[]
  /** For `picket run`, after the config. */
  readonly args?: readonly string[]
  /** So long it may take to be ready, ms. */
  readonly startMs?: number
}

export class Service {
  readonly #options: ServiceOptions
  #child: ChildProcess | null = null
  #log = ''
  starts = 0

  constructor(options: ServiceOptions) {
    this.#options = options
  }

  /** Last lines it logged. */
  get log(): string {
    return this.#log.slice(-4000)
  }

  /** Resolves with the ms until it said that it is ready. */
  async start(): Promise<number> {
    const began = performance.now()
    const { config, http, nodeArgs = [], args = [], startMs = START_MS } = this.#options
    const child = spawn(process.execPath, [...nodeArgs, MAIN, 'run', '--config', config, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.starts++
    const keep = (chunk: Buffer) => (this.#log = (this.#log + chunk.toString()).slice(-100_000))
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    while (performance.now() - began < startMs) {
      if (child.exitCode !== null) throw new Error(`the service ended with ${child.exitCode} at start\n${this.log}`)
      if (await isReady(http)) return performance.now() - began
      await pause(20)
    }
    throw new Error(`not ready within ${startMs} ms\n${this.log}`)
  }

  /** It has not ended. */
  get isRunning(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** It does nothing until it is woken, and does not know. */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  wake(): void {
    this.#child?.kill('SIGCONT')
  }

  /** SIGTERM; resolves with the exit code and the ms it took. */
  async stop(): Promise<{ code: number | null; ms: number }> {
    const began = performance.now()
    const code = await this.#end('SIGTERM')
    return { code, ms: performance.now() - began }
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    if (!child) return null
    this.#child = null
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null
    child.kill(signal)
    await exited
    return child.exitCode
  }
}

async function isReady(http: string): Promise<boolean> {
  try {
    return (await fetch(`${http}/readyz`)).ok
  } catch {
    return false // nothing listens yet
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** A port nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Runs a verb of the built command line to its end; its stdout, line by line. Throws with its stderr unless it ended with 0. */
export async function* verb(args: readonly string[]): AsyncIterable<string> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const exit = once(child, 'exit')
  let rest = ''
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  const [code] = (await exit) as [number | null]
  if (code !== 0) throw new Error(`picket ${args.join(' ')} ended with ${code}: ${errors}`)
}
