/** A demonstration from its first port to its verdict: a whole Picket, a fleet on its MQTT port, a witness at its doors, and nothing left behind. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startApi } from '../../api/server.ts'
import type { Config } from '../../config/config.ts'
import { processEnvironment } from '../../config/environment.ts'
import { ALL_BEGUN_MS, drawFleet, type DemoFleet } from '../../fleet/demo-fleet.ts'
import { RunningFleet } from '../../fleet/running-fleet.ts'
import { type Clock, delay } from '../../ops/clock.ts'
import { apiClient } from '../api-client.ts'
import type { DemoOptions } from '../demo.ts'
import { Failure } from '../io.ts'
import type { CliIo } from '../io.ts'
import { bracketed, readConfigWithSecrets, urlHost } from '../options.ts'
import type { StartPicket } from '../run.ts'
import { openInstruments } from '../service.ts'
import { freePorts } from './free-ports.ts'
import type { Happening } from './happening.ts'
import { linksTo } from './link.ts'
import { liveScreen } from './live-screen.ts'
import { jsonScreen, plainScreen, type Screen } from './screen.ts'
import { type Ending, endingOf } from './ending.ts'
import { FOUND_WITHIN_MS, Verdict } from './verdict.ts'
import { Witness, WITNESSED_TOPICS } from './witness.ts'

/** How often the witness looks. */
const LOOK_MS = 250
/** What has not let go by then is left to the end of the process. */
const LET_GO_MS = 700
const READY_TRIES = 500
const READY_PAUSE_MS = 20
/** Over so long messages a second are counted, ms. */
const RATE_MS = 2_000

/** Resolves once all is gone. Throws what kept it from starting, and a Failure when `--check` finds fault with it. */
export async function runDemo(io: CliIo, options: DemoOptions, start: StartPicket): Promise<void> {
  const seed = options.seed ?? Math.floor(io.random.fraction() * 1_000_000)
  const folder = mkdtempSync(join(tmpdir(), 'picket-demo-'))
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  const ending = endingOf(io, remove)
  const fleet = drawFleet(seed)
  const verdict = new Verdict(fleet.truths)
  const screen = screenOf(io, options)
  try {
    const [mqtt, http] = await freePorts(options)
    const config = readConfigWithSecrets({ ...options, set: [`log.embedded.path=${folder}`, ...mqtt, ...http, ...options.set] })
    const show: Screen['show'] = (happening) => {
      verdict.take(happening)
      screen.show(happening)
    }
    await inService(io, config, { start, ending, fleet, show, screen, over: (at) => verdict.end(at), limitMs: limitOf(options) })
    screen.end(verdict)
  } finally {
    remove()
  }
  if (ending.error !== null) throw new Failure(`ended by an error: ${ending.error}`)
  if (!options.check) return
  const failures = ending.signalled ? ['it was ended before its time'] : verdict.failures()
  if (failures.length > 0) throw new Failure(`seed ${seed}: ${failures.join('; ')}`)
}

function limitOf({ check, seconds }: DemoOptions): number {
  if (seconds !== undefined) return seconds * 1000
  return check ? ALL_BEGUN_MS + FOUND_WITHIN_MS : Number.POSITIVE_INFINITY
}

function screenOf({ stdout }: CliIo, { json }: DemoOptions): Screen {
  if (json) return jsonScreen(stdout)
  return stdout.isTerminal && !processEnvironment()['NO_COLOR'] ? liveScreen(stdout) : plainScreen(stdout)
}

interface Parts {
  readonly start: StartPicket
  readonly ending: Ending
  readonly fleet: DemoFleet
  readonly show: Screen['show']
  readonly screen: Screen
  /** Told when it is over, ms since the fleet's start. */
  readonly over: (at: number) => void
  readonly limitMs: number
}

/** Starts what `picket run` starts, and the fleet beside it; lets go of both within a second. */
async function inService(io: CliIo, config: Config, parts: Parts): Promise<void> {
  const { clock, random } = io
  const { ending } = parts
  const { metrics, logger } = openInstruments(io, io.stdout.isTerminal ? 'silent' : 'error')
  const toStop: (() => Promise<unknown>)[] = []
  try {
    const picket = await parts.start(config, { clock, random, metrics, logger, fail: ending.fail })
    if (!picket?.mqtt) throw new Failure('the demonstration is of a Picket with a broker of its own: sources needs embedded: true')
    const { mqtt } = picket
    toStop.push(() => picket.stop())
    const api = await startApi({ listen: config.listen.http, app: picket.app, metrics, logger, clock, random })
    toStop.unshift(() => api.close())
    const places = { mqtt: `mqtt://${bracketed(urlHost(mqtt.host))}:${mqtt.port}`, http: `http://${urlHost(api.address.host)}:${api.address.port}` }
    const open = linksTo(places.mqtt)
    const running = new RunningFleet(parts.fleet, { clock, open })
    toStop.unshift(() => running.stop())
    const witness = new Witness({ api: apiClient(io, places.http), elapsed: () => running.elapsed, now: () => clock.now() })
    const observer = await open({ client: 'picket-demo-witness', topics: WITNESSED_TOPICS, receive: (topic, payload) => witness.receive(topic, payload) })
    toStop.unshift(() => observer.end())
    await ready(io, places.http)
    await running.start()
    parts.screen.begin({ seed: parts.fleet.seed, ...places, faultsFrom: parts.fleet.truths[0]?.from ?? 0 })
    await watch(clock, parts, running, witness)
    parts.over(running.elapsed)
  } finally {
    await Promise.race([Promise.allSettled(toStop.map((stop) => stop())), delay(clock, LET_GO_MS)])
    logger.flush()
  }
}

/** Until it owns its partitions, it can't say which devices there are. Throws Failure. */
async function ready({ fetch, clock }: Pick<CliIo, 'fetch' | 'clock'>, http: string): Promise<void> {
  for (let tries = 0; tries < READY_TRIES; tries++) {
    const answer = await fetch(`${http}/readyz`)
    await answer.body?.cancel()
    if (answer.ok) return
    await delay(clock, READY_PAUSE_MS)
  }
  throw new Failure(`Picket is not ready after ${(READY_TRIES * READY_PAUSE_MS) / 1000} s; is the machine very busy?`)
}

/** Looks some times a second, until the time is over or the end is asked for. */
async function watch(clock: Clock, { ending, fleet, show, screen, limitMs }: Parts, running: RunningFleet, witness: Witness): Promise<void> {
  let begun = 0
  const acked: { readonly at: number; readonly count: number }[] = []
  while (!ending.signal.aborted && running.elapsed < limitMs) {
    const at = running.elapsed
    const begins = fleet.truths.slice(begun).filter(({ from }) => from <= at)
    begun += begins.length
    const faults = begins.map((truth): Happening => ({ kind: 'fault', at: truth.from, device: truth.device, truth }))
    for (const happening of [...faults, ...(await witness.look())].toSorted((a, b) => a.at - b.at)) show(happening)
    acked.push({ at, count: running.counts.acked })
    while (acked.length > 1 && at - acked[0]!.at > RATE_MS) acked.shift()
    const [first, last] = [acked[0]!, acked.at(-1)!]
    const messagesPerSecond = last.at > first.at ? ((last.count - first.count) / (last.at - first.at)) * 1000 : 0
    screen.stand({ elapsed: at, devices: await witness.devices(), messagesPerSecond, dropped: running.counts.dropped })
    await delay(clock, Math.max(0, Math.min(LOOK_MS - (running.elapsed - at), limitMs - running.elapsed)), ending.signal)
  }
  if (!ending.signal.aborted) for (const happening of await witness.look()) show(happening)
}
