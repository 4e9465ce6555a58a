/** A source that one process of several leads: who runs it, who tells of it in ticks, and what is ready. */
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/core/errors.ts'
import type { Message } from '../../src/core/message.ts'
import { createIngest } from '../../src/ingest/ingest.ts'
import type { Ingest } from '../../src/ingest/ingest.ts'
import type { Lead } from '../../src/ingest/source.ts'
import { MemoryCluster } from '../../src/log/memory.ts'
import type { MemoryLog } from '../../src/log/memory.ts'
import { ManualClock } from '../clock.ts'
import { controlsIn, HandSource, keepingLogger, LIMITS, Meters, SETTINGS } from './lab.ts'

class LedSource extends HandSource {
  readonly isLed = true
  readonly leads: (Lead | undefined)[] = []
  isRunning = false
  problem: string | null = null

  override async start(deliver: (message: Message) => Promise<void>, lead?: Lead): Promise<void> {
    this.leads.push(lead)
    this.isRunning = true
    await super.start(deliver)
  }

  override async stop(): Promise<void> {
    this.isRunning = false
    await super.stop()
  }

  trouble(): string | null {
    return this.problem
  }
}

interface Process {
  readonly name: string
  readonly log: MemoryLog
  readonly source: LedSource
  readonly ingest: Ingest
}

async function start(count: number) {
  const clock = new ManualClock()
  const cluster = new MemoryCluster({ clock, partitions: 2 })
  const processes: Process[] = []
  for (let i = 1; i <= count; i++) {
    const name = `ingest-${i}`
    const log = cluster.connect({ name })
    const source = new LedSource('field')
    const ingest = createIngest({
      log, clock, logger: keepingLogger().logger, metrics: new Meters(), random: { id: () => 'incarnation', fraction: () => 0 },
      sources: [{ source, patterns: ['telemetry/{class}/{device}'] }], limits: LIMITS, settings: SETTINGS, settingsHash: 'hash', name,
    })
    await ingest.start()
    processes.push({ name, log, source, ingest })
  }
  await clock.advance(0)
  const sourcesInTicks = (writer: string) =>
    controlsIn(cluster, 0).flatMap(({ body }) => (body.kind === 'tick' && body.writer === writer ? [body.sources.map(({ name }) => name)] : []))
  return { clock, cluster, processes, sourcesInTicks }
}

describe('a source that is led', () => {
  it('runs in one process, in a term of the log', async () => {
    const { processes } = await start(2)
    expect(processes.map(({ source }) => source.isRunning)).toEqual([true, false])
    expect(processes[0]!.source.leads[0]!.signal.aborted).toBe(false)
    await expect(processes[0]!.source.leads[0]!.confirmed()).resolves.toBeUndefined()
  })

  it('is told of in ticks by who leads it alone: a standby’s word would hide whether anybody listens', async () => {
    const { clock, processes, sourcesInTicks } = await start(2)
    await clock.advance(1_000)
    expect(sourcesInTicks(processes[0]!.name)).toEqual([['field']])
    expect(sourcesInTicks(processes[1]!.name)).toEqual([[]])
  })

  it('moves to another process, and stops in the first', async () => {
    const { clock, cluster, processes, sourcesInTicks } = await start(2)
    cluster.assignLeader('source-field', processes[1]!.log)
    await clock.advance(1_000)
    expect(processes.map(({ source }) => source.isRunning)).toEqual([false, true])
    expect(processes[0]!.source.leads[0]!.signal.aborted).toBe(true)
    await clock.advance(1_000)
    expect(processes.map(({ name }) => sourcesInTicks(name).at(-1))).toEqual([[], ['field']])
  })

  it('is taken over when its process crashes', async () => {
    const { clock, processes } = await start(2)
    processes[0]!.log.crash()
    await clock.advance(10_000)
    expect(processes[1]!.source.isRunning).toBe(true)
  })

  it('makes its leader not ready while it has trouble, and a standby not', async () => {
    const { processes } = await start(2)
    for (const { source } of processes) source.problem = 'source field: not connected to mqtt://broker:1883: refused'
    expect(processes.map(({ ingest }) => ingest.readiness())).toEqual([
      { ready: false, reasons: ['source field: not connected to mqtt://broker:1883: refused'] },
      { ready: true, reasons: [] },
    ])
  })

  it('ends with its ingest, and others may lead it at once', async () => {
    const { clock, processes } = await start(2)
    await processes[0]!.ingest.stop()
    await processes[0]!.ingest.ended
    await clock.advance(10)
    expect(processes.map(({ source }) => source.isRunning)).toEqual([false, true])
  })

  it('that can’t be started ends ingest with why', async () => {
    const clock = new ManualClock()
    const log = new MemoryCluster({ clock }).connect()
    const source = Object.assign(new LedSource('field'), { start: () => Promise.reject(new PipelineError('BAD_CONFIG', 'no such file')) })
    const ingest = createIngest({
      log, clock, logger: keepingLogger().logger, metrics: new Meters(), random: { id: () => 'incarnation', fraction: () => 0 },
      sources: [{ source, patterns: ['telemetry/{class}/{device}'] }], limits: LIMITS, settings: SETTINGS, settingsHash: 'hash', name: 'ingest-1',
    })
    await ingest.start()
    await expect(ingest.ended).rejects.toThrow('no such file')
    await ingest.stop()
  })
})
