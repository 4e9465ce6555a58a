/** `picket demo` with a real Picket, real sockets and a real folder, for some seconds. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freePorts } from '../../../src/cli/demo/free-ports.ts'
import type { CliIo } from '../../../src/cli/io.ts'
import { runCli } from '../../../src/cli/program.ts'
import { loadConfig } from '../../../src/config/config.ts'
import { systemClock } from '../../../src/ops/clock.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { startPicket } from '../../../src/start.ts'
import { makeLab, MemoryHost } from '../lab.ts'

interface Said {
  readonly kind: string
  readonly seed: number
  readonly http: string
  readonly faults: readonly unknown[]
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function demo(...args: readonly string[]) {
  const host = new MemoryHost()
  const { io: lab, printed } = makeLab({ host })
  const io: CliIo = { ...lab, clock: systemClock, random: systemRandom, fetch }
  const ended = runCli(['demo', '--json', '--set', 'listen.mqtt=127.0.0.1:0', '--set', 'listen.http=127.0.0.1:0', ...args], io, startPicket)
  const said = () => printed.stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Said)
  const begun = async () => {
    let over = false
    void ended.then(() => (over = true))
    while (!printed.stdout.includes('"begin"')) {
      if (over) throw new Error(`it ended before it began: ${printed.stderr}`)
      await pause(20)
    }
    return said()[0]!
  }
  return { host, printed, ended, said, begun }
}

/** The folders of this process's temporary folder that a demonstration makes. */
function folders(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('picket-demo-'))
}

describe('a demonstration', () => {
  test('learns a whole fleet over MQTT, shows it over HTTP, ends after its seconds with its verdict, and leaves nothing behind', async () => {
    const mine = mkdtempSync(join(tmpdir(), 'demo-test-'))
    const before = process.env['TMPDIR']
    process.env['TMPDIR'] = mine
    onTestFinished(() => {
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
      rmSync(mine, { recursive: true })
    })
    const { begun, ended, said, printed } = demo('--seed', '7', '--seconds', '2')
    const { seed, http } = await begun()
    expect([seed, folders()]).toEqual([7, [expect.stringMatching(/^picket-demo-/)]])
    let devices: { state: string }[] = []
    for (let i = 0; i < 50 && devices.length < 32; i++) {
      devices = ((await (await fetch(`${http}/api/v1/devices`)).json()) as { devices: { state: string }[] }).devices
      await pause(20)
    }
    expect(devices).toHaveLength(32)
    expect(await ended).toBe(0)
    expect(said().map(({ kind }) => kind)).toEqual(['begin', 'end'])
    expect(said().at(-1)!.faults).toHaveLength(5)
    expect([folders(), printed.stderr]).toEqual([[], ''])
  })

  test('ends within a second of Ctrl-C', async () => {
    const { begun, host, ended } = demo()
    await begun()
    const asked = performance.now()
    host.signal('SIGINT')
    expect(await ended).toBe(0)
    expect(performance.now() - asked).toBeLessThan(1_000)
  })

  test('that is checked fails when it is ended before its time, and names its seed', async () => {
    const { begun, host, ended, printed } = demo('--check', '--seed', '3')
    await begun()
    host.signal('SIGINT')
    expect(await ended).toBe(1)
    expect(printed.stderr).toBe('picket: seed 3: it was ended before its time\n')
  })
})

describe('its ports', () => {
  const options = (port: number, more: object = {}) => ({ config: 'config/demo.yaml', set: [], ...more, ...(port === 0 ? {} : { port }) })

  test('are the configured ones where they are free, else free ones', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const file = (await import('../lab.ts')).aConfig(`listen: { mqtt: 127.0.0.1:${port}, http: 127.0.0.1:${port} }\n`)
    expect(await freePorts({ config: file, set: [] })).toEqual([['listen.mqtt=127.0.0.1:0'], ['listen.http=127.0.0.1:0']])
    await new Promise((resolve) => server.close(resolve))
    expect(await freePorts({ config: file, set: [] })).toEqual([[], []])
  })

  test('that are named are left to the one who named them', async () => {
    expect(await freePorts({ ...options(0), set: ['listen.mqtt=127.0.0.1:9', 'listen.http=127.0.0.1:9'], check: true })).toEqual([[], []])
  })

  test('are free ones for a check, which nobody looks at', async () => {
    expect(await freePorts({ ...options(0), check: true })).toEqual([['listen.mqtt=127.0.0.1:0'], ['listen.http=127.0.0.1:0']])
  })
})

test('its configuration ships and loads', () => {
  expect(existsSync('config/demo.yaml')).toBe(true)
  const { settings } = loadConfig({ file: 'config/demo.yaml' })
  expect(settings.classes['wearable']!.quarantine).toBeNull()
  expect(settings.classes['pump']!.quarantine!.forMs).toBeLessThanOrEqual(20_000)
})
