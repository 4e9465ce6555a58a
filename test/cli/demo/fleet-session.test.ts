/** `picket fleet` over links in memory and a clock moved by hand. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { runFleet } from '../../../src/cli/demo/fleet-session.ts'
import { drawFleet } from '../../../src/fleet/demo-fleet.ts'
import type { LinkOptions } from '../../../src/fleet/running-fleet.ts'
import { ManualClock } from '../../clock.ts'
import { makeLab, MemoryHost } from '../lab.ts'

/** `refuse`: how many connections fail before one succeeds. */
function fleet(refuse = 0) {
  const host = new MemoryHost()
  const clock = new ManualClock()
  const { io, printed } = makeLab({ host, clock })
  const links: LinkOptions[] = []
  const sent: string[] = []
  const state = { ended: 0, refusals: refuse }
  const running = runFleet(io, { url: 'mqtt://broker:1883', seed: 8 }, async (options) => {
    if (state.refusals-- > 0) throw new Error('connect ECONNREFUSED')
    links.push(options)
    return { publish: async (topic) => void sent.push(topic), end: async () => void state.ended++ }
  })
  const stop = async () => {
    host.signal('SIGTERM')
    await running
  }
  return { clock, printed, links, sent, state, stop }
}

describe('a fleet alone', () => {
  it('connects every device and sends under its class', async () => {
    const { clock, printed, links, sent, stop } = fleet()
    await clock.advance(1_000)
    expect(printed.stdout).toBe('32 devices at mqtt://broker:1883, seed 8\n')
    expect(links).toHaveLength(32)
    expect(new Set(sent)).toContain('telemetry/pump/pump-01')
    await stop()
  })

  it('ends by SIGTERM, all connections with it', async () => {
    const { clock, state, stop } = fleet()
    await clock.advance(1_000)
    await stop()
    expect(state.ended).toBe(32)
  })

  it('says each fault as it begins, and in the next round each again', async () => {
    const { clock, printed, stop } = fleet()
    const faults = () => printed.stdout.split('\n').filter((line) => line.includes('begins')).map((line) => line.replace(/^ *\S+ +fault +\S+ +begins: /, '').replace(/its \w+ sensor/, 'its sensor'))
    await clock.advance(43_000)
    expect(faults()).toHaveLength(5)
    await clock.advance(110_000)
    expect(faults()).toHaveLength(5)
    await clock.advance(12_000)
    expect(faults().slice(5).toSorted()).toEqual(faults().slice(0, 5).toSorted())
    await stop()
  })

  it('says each minute what it has sent', async () => {
    const { clock, printed, stop } = fleet()
    await clock.advance(60_500)
    expect(printed.stdout).toMatch(/1:00\.\d {2}\d+ messages sent, \d+ acknowledged, 0 not sent or given up\n/)
    await stop()
  })

  it('waits for a broker that is not there yet', async () => {
    const { clock, printed, links, stop } = fleet(16)
    await clock.advance(100)
    expect(printed.stderr).toBe("picket: pump-01 can't connect, and tries again: connect ECONNREFUSED\n")
    await clock.advance(5_000)
    expect(links).toHaveLength(32)
    expect(printed.stdout).toContain('32 devices')
    await stop()
  })

  it('ends while it waits, without having begun', async () => {
    const { clock, printed, state, stop } = fleet(1_000)
    await clock.advance(100)
    await stop()
    expect([printed.stdout, state.ended]).toEqual(['', 0])
  })
})

describe('the passwords of a fleet', () => {
  const run = (text: string | null) => {
    const folder = mkdtempSync(join(tmpdir(), 'fleet-test-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'devices')
    if (text !== null) writeFileSync(file, text)
    const { io } = makeLab({ host: new MemoryHost(), clock: new ManualClock() })
    return runFleet(io, { url: 'mqtt://broker:1883', seed: 8, passwords: file }, () => Promise.reject(new Error('not reached')))
  }

  it('are refused where the file is not there', async () => {
    await expect(run(null)).rejects.toThrow(/--passwords .*devices: ENOENT/)
  })

  it('are refused where one is missing, by its device', async () => {
    const lines = drawFleet(8).devices.map(({ member }) => `${member.id}:secret`)
    await expect(run(lines.slice(1).join('\n'))).rejects.toThrow('has no line for pump-01; expected device:password for each of the fleet')
  })
})
