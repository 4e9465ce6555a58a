/** The API over a small app in memory, its ids countable and its clock by hand; closed when the test is over. */
import { onTestFinished } from 'vitest'
import type { AskOwner } from '../../src/api/elsewhere.ts'
import { makeServer } from '../../src/api/server.ts'
import { makePrometheus } from '../../src/ops/prometheus.ts'
import { ManualClock } from '../clock.ts'
import { Fleet } from './fleet.ts'
import type { FleetOptions } from './fleet.ts'

export const NOW = 1_700_000_100_000

export interface DoorOptions {
  readonly token?: string
  readonly askOwner?: AskOwner
  readonly advertise?: { readonly host: string }
}

export function openDoor(options: FleetOptions = {}, door: DoorOptions = {}) {
  const fleet = new Fleet(options)
  const ignore = () => {}
  let ids = 0
  const server = makeServer({
    listen: { host: '127.0.0.1', port: 0 },
    ...door,
    app: fleet,
    ...fleet.config,
    metrics: makePrometheus({ processMetrics: false }),
    logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    clock: new ManualClock(NOW),
    random: { id: () => `r${++ids}`, fraction: () => 0 },
  })
  onTestFinished(() => void server.close())
  const ask = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: unknown) => {
    const answer = await server.inject({ method, url, ...(payload === undefined ? {} : { payload: payload as object }) })
    return { status: answer.statusCode, body: answer.json() as Record<string, unknown>, message: messageOf(answer.json()) }
  }
  return { fleet, server, ask }
}

function messageOf(body: unknown): string {
  return String((body as { error?: { message?: string } }).error?.message ?? '')
}
