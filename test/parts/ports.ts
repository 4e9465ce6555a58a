/** Free ports for servers of the tests, and waiting until something listens on one. */
import { createServer, connect } from 'node:net'

/** Below what systems give to outgoing connections: a client that keeps dialling a dead server's port there can end up connected to itself. */
const LOWEST = 12_000
const HIGHEST = 31_000
const MOST_TRIES = 500
const POLL_MS = 20

const given = new Set<number>()

/** Ports of 127.0.0.1 that nobody listens on now; each is given once in this process. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = []
  for (let tries = 0; found.length < count; tries++) {
    if (tries > MOST_TRIES) throw new Error(`found no ${count} free ports between ${LOWEST} and ${HIGHEST}`)
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    found.push(port)
  }
  return found
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Resolves once something accepts connections there; throws what `check` throws before that, or after the time. */
export async function listening(port: number, check: () => void, withinMs: number): Promise<void> {
  for (const until = performance.now() + withinMs; ; ) {
    if (await accepts(port)) return
    check()
    if (performance.now() > until) throw new Error(`nothing listens on 127.0.0.1:${port} after ${withinMs} ms`)
    await pause(POLL_MS)
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
