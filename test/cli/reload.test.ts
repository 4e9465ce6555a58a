/** `picket reload` and `picket check --diff` against a Picket in memory, and the process's side of a reload. */
import { writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { ConfigDoor, Reloaded } from '../../src/api/config-door.ts'
import type { RunningPicket } from '../../src/cli/run.ts'
import { Reloading } from '../../src/cli/reloading.ts'
import { type Config, loadWritten } from '../../src/config/config.ts'
import { entriesOf, shownEntries } from '../../src/config/difference.ts'
import { PipelineError } from '../../src/core/errors.ts'
import type { ConfigView, PartitionConfig, Standing } from '../../src/core/standing.ts'
import { aStanding, Fleet } from '../api/fleet.ts'
import { ManualClock, settle } from '../clock.ts'
import { aConfig, makeLab } from './lab.ts'

const URL_ARGS = ['--url', 'http://picket.test']
const part = (partition: number, state: PartitionConfig['state'], version: number | null, position: number | null): PartitionConfig => ({ partition, state, version, position })
const SWITCHED = [part(0, 'switched', 2, 70), part(1, 'switched', 2, 9)]

/** A Picket whose partitions go over step by step, one step a look. */
class Moving extends Fleet {
  looks = 0
  private readonly steps: readonly (readonly PartitionConfig[])[]

  constructor(config: ConfigDoor, steps: readonly (readonly PartitionConfig[])[]) {
    super({ config })
    this.steps = steps
  }

  override standing(): Standing {
    const partitions = this.steps[Math.min(this.looks++, this.steps.length - 1)]!
    return aStanding({ config: { version: 2, hash: 'hash-2', partitions } })
  }
}

function reloads(reloaded: Partial<Reloaded> | PipelineError): ConfigDoor {
  const all: Reloaded = { version: 2, hash: 'hash-2', isNew: true, changed: [], partitions: [part(0, 'pending', 1, 0), part(1, 'pending', 1, 0)], ...(reloaded instanceof Error ? {} : reloaded) }
  return { running: () => ({ hash: 'hash-1', keys: [] }), reload: async () => (reloaded instanceof Error ? Promise.reject(reloaded) : all) }
}

/** Looks go on while the verb waits for them. */
async function ended<T>(running: Promise<T>, clock: ManualClock): Promise<T> {
  const over = new AbortController()
  void running.then(() => over.abort())
  for (let i = 0; i < 2_000 && !over.signal.aborted; i++) {
    await settle()
    await clock.advance(200)
  }
  return running
}

describe('picket reload', () => {
  test('shows what changed, and each partition with its position once it goes over', async () => {
    const clock = new ManualClock()
    const changed: Reloaded['changed'] = [
      { key: 'classes.pump.warmup', old: '300', new: '50', place: 'a.yaml:3:5', does: 'version', roles: [] },
      { key: 'respond.quarantines.perMinute', old: '10', new: '3', place: 'a.yaml:4:5', does: 'reload', roles: [] },
      { key: 'listen.mqtt', old: '127.0.0.1:1883', new: '127.0.0.1:1', place: 'a.yaml:1:5', does: 'restart', roles: ['ingest'] },
    ]
    const steps = [[], [part(0, 'written', 1, 0), part(1, 'pending', 1, 0)], [part(0, 'switched', 2, 70), part(1, 'written', 1, 0)], SWITCHED]
    const { code, stdout, stderr } = await ended(makeLab({ fleet: new Moving(reloads({ changed }), steps), clock }).run('reload', ...URL_ARGS), clock)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout.split('\n')).toEqual([
      'KEY                            OLD             NEW          WHERE       WHAT IT DOES',
      'classes.pump.warmup            300             50           a.yaml:3:5  new version for all partitions',
      'respond.quarantines.perMinute  10              3            a.yaml:4:5  taken with a reload, by respond',
      'listen.mqtt                    127.0.0.1:1883  127.0.0.1:1  a.yaml:1:5  needs a restart of ingest',
      '',
      'version 2 goes to every partition, hash hash-2',
      'respond goes by the new values of respond and notify',
      'still to do: needs a restart of ingest',
      'readings/0 obeys version 2 from offset 70',
      'readings/1 obeys version 2 from offset 9',
      '',
    ])
  })

  test('is a line of JSON for what was written, and one a partition', async () => {
    const clock = new ManualClock()
    const { json } = await ended(makeLab({ fleet: new Moving(reloads({}), [SWITCHED]), clock }).run('reload', '--json', ...URL_ARGS), clock)
    expect(json).toEqual([{ version: 2, hash: 'hash-2', isNew: true, changed: [] }, ...SWITCHED])
  })

  test('says that nothing changed', async () => {
    const fleet = new Moving(reloads({ isNew: false, partitions: SWITCHED }), [SWITCHED])
    expect(await makeLab({ fleet }).run('reload', ...URL_ARGS)).toMatchObject({ code: 0, stdout: 'nothing changed: version 2 stays in force, hash hash-2\n' })
  })

  test('that waits in vain names the partitions and why it may be', async () => {
    const clock = new ManualClock()
    const steps = [[part(0, 'switched', 2, 70), part(1, 'written', 1, 0), part(2, 'pending', 1, 0), part(3, 'unknown', null, null)]]
    const { code, stdout, stderr } = await ended(makeLab({ fleet: new Moving(reloads({}), steps), clock }).run('reload', '--timeout', '2s', ...URL_ARGS), clock)
    expect(code).toBe(1)
    expect(stdout).toContain('readings/0 obeys version 2 from offset 70\n')
    expect(stderr).toContain('not all partitions obey version 2 after 2 s')
    expect(stderr).toContain('readings/1 obeys version 1: the record is written and detect has not come to it')
    expect(stderr).toContain("readings/2 obeys version 1: respond has not written the record yet")
    expect(stderr).toContain('readings/3 has said nothing yet: no detect has said which topic it is')
  })

  test('of a bad file ends with 2 and all that is wrong', async () => {
    const fleet = new Moving(reloads(new PipelineError('BAD_CONFIG', 'a.yaml:1:1: one\na.yaml:2:1: two')), [SWITCHED])
    expect(await makeLab({ fleet }).run('reload', ...URL_ARGS)).toMatchObject({ code: 2, stderr: 'picket: a.yaml:1:1: one\na.yaml:2:1: two\n' })
  })

  test('refuses a time-out that is none', async () => {
    expect(await makeLab().run('reload', '--timeout', '5')).toMatchObject({ code: 2, stderr: expect.stringContaining('such as 10m') as string })
  })
})

describe('picket check --diff', () => {
  const text = (warmup: number) => `classes:\n  pump:\n    warmup: ${warmup}\nnotify: [{ webhook: { url: "https://far.example/T0KEN", secret: "\${S}" } }]\n`

  test('compares with another file', async () => {
    const [old, now] = [aConfig(text(300)), aConfig(text(50))]
    const { code, stdout } = await makeLab().run('check', '--diff', old, '--config', now)
    expect(code).toBe(0)
    expect(stdout).toContain(`classes.pump.warmup  300  50   ${now}:3:13  new version for all partitions\n`)
    expect(stdout).toMatch(/settings [0-9a-f]{12} of .* → [0-9a-f]{12}: picket reload writes the next version to every partition\n$/)
  })

  test('says so where there is no change', async () => {
    const [old, now] = [aConfig(text(50)), aConfig(text(50))]
    expect(await makeLab().run('check', '--diff', old, '--config', now)).toMatchObject({ code: 0, stdout: `no change against ${old}\n` })
    expect(await makeLab().run('check', '--diff', old, '--config', now, '--json')).toMatchObject({ code: 0, stdout: '' })
  })

  test('asks the running Picket, and shows no secret', async () => {
    const written = loadWritten({ file: 'there.yaml', text: text(300), environment: { S: 's3cret' } })
    const config: ConfigDoor = { running: () => ({ hash: written.config.settingsHash, keys: shownEntries(entriesOf(written)) }), reload: async () => null }
    const standing = aStanding({ config: { version: 7, hash: written.config.settingsHash, partitions: [] } })
    const lab = () => makeLab({ fleet: new Fleet({ config, standing }) })
    const { stdout } = await lab().run('check', '--diff', '--config', aConfig(text(50)), ...URL_ARGS)
    expect(stdout).toContain('classes.pump.warmup  300  50')
    expect(stdout).toContain('picket reload writes version 8 to every partition')
    expect(stdout).not.toMatch(/s3cret|T0KEN/)
    expect((await lab().run('check', '--diff', '--config', aConfig(text(300)), ...URL_ARGS)).stdout).toBe('no change against the Picket at http://picket.test\n')
    const { json } = await lab().run('check', '--diff', '--json', '--config', aConfig(text(300)), '--set', 'listen.mqtt=127.0.0.1:1', ...URL_ARGS)
    expect(json).toEqual([{ key: 'listen.mqtt', old: '127.0.0.1:1883', new: '127.0.0.1:1', place: '--set listen.mqtt', does: 'restart', roles: ['ingest'] }])
  })

  test('of a file that is none ends with 2', async () => {
    expect(await makeLab().run('check', '--diff', aConfig('listen: 5\n'), '--config', aConfig('{}\n'))).toMatchObject({ code: 2 })
  })
})

/** A process whose file can be changed under it. */
function process(text: string, { roles = '', view = () => VIEW }: { roles?: string; view?: () => ConfigView | null } = {}) {
  const file = aConfig(text)
  const lines: string[] = []
  const at = (level: string) => (_: unknown, message: string) => void lines.push(`${level} ${message}`)
  const given: { readonly config: Config; readonly by: string }[] = []
  const picket: RunningPicket = {
    app: new Fleet({ standing: aStanding({ config: { ...VIEW, version: 1 } }), holders: { respond: '10.0.0.2:8080' } }),
    mqtt: null,
    reload: async (config, by) => (given.push({ config, by }), view()),
    stop: async () => undefined,
  }
  const read = () => loadWritten({ file, set: roles ? [`roles=[${roles}]`] : [] })
  const reloading = new Reloading({ written: read(), read, picket: () => picket, logger: { debug: () => undefined, info: at('info'), warn: at('warn'), error: at('error') } })
  return { reloading, lines, given, rewrite: (next: string) => writeFileSync(file, next) }
}

const VIEW: ConfigView = { version: 2, hash: 'hash-2', partitions: [] }

describe('the process', () => {
  test('reads its file again, hands it on, and tells what changed', async () => {
    const { reloading, lines, given, rewrite } = process('state: { expire: 1d }\n')
    rewrite('state: { expire: 2d }\nlisten: { mqtt: 127.0.0.1:1 }\n')
    expect(await reloading.reload('api')).toMatchObject({ version: 2, isNew: true, changed: [{ key: 'listen.mqtt', does: 'restart' }, { key: 'state.expire', old: '1d', new: '2d' }] })
    expect(given).toMatchObject([{ by: 'api', config: { settings: { expireMs: 172_800_000 } } }])
    expect(lines).toEqual([
      'info configuration reloaded: version 2 goes to every partition, 2 keys changed',
      'warn listen.mqtt: 127.0.0.1:1883 → 127.0.0.1:1: needs a restart of ingest',
      'info state.expire: 1d → 2d: new version for all partitions',
    ])
  })

  test('goes on saying what needs a restart, and not what was taken', async () => {
    const { reloading, rewrite } = process('{}\n')
    rewrite('state: { expire: 2d }\nrespond: { enforcement: off }\nlisten: { mqtt: 127.0.0.1:1 }\n')
    await reloading.reload('api')
    expect((await reloading.reload('api'))?.changed.map(({ key }) => key)).toEqual(['listen.mqtt'])
    expect(reloading.running().keys.find(({ key }) => key === 'state.expire')?.value).toBe('2d')
    expect(reloading.running().keys.find(({ key }) => key === 'listen.mqtt')?.value).toBe('127.0.0.1:1883')
  })

  test('keeps the old where the file is bad, and says why', async () => {
    const { reloading, lines, given, rewrite } = process('state: { expire: 1d }\n')
    rewrite('state: { expire: never }\nlisten: 5\n')
    await expect(reloading.reload('api')).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringMatching(/state\.expire.*\n.*listen/) as string })
    expect(given).toEqual([])
    expect(lines).toEqual([expect.stringMatching(/^error the configuration is not reloaded, the old one stays in force: .*state\.expire/)])
    expect(reloading.running().keys.find(({ key }) => key === 'state.expire')?.value).toBe('1d')
  })

  test('keeps the old where respond could not take it', async () => {
    const { reloading, rewrite } = process('state: { expire: 1d }\n', { view: () => { throw new PipelineError('IO', 'the disk said no') } })
    rewrite('state: { expire: 2d }\n')
    await expect(reloading.reload('api')).rejects.toThrow('the disk said no')
    expect(reloading.running().keys.find(({ key }) => key === 'state.expire')?.value).toBe('1d')
  })

  test('does one reload at a time', async () => {
    const { reloading } = process('{}\n')
    const first = reloading.reload('api')
    await expect(reloading.reload('api')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await first).toMatchObject({ isNew: true })
  })

  test('reloads by SIGHUP, and only logs what goes wrong', async () => {
    const { reloading, lines, given, rewrite } = process('{}\n')
    await reloading.signal()
    expect(given).toMatchObject([{ by: 'SIGHUP' }])
    rewrite('listen: 5\n')
    await reloading.signal()
    expect(lines.at(-1)).toMatch(/^error the configuration is not reloaded/)
  })

  test('that another one leads takes the file for its own turn', async () => {
    const { reloading, lines, given } = process('{}\n', { view: () => null })
    await reloading.signal()
    expect(given).toHaveLength(1)
    expect(lines).toEqual(['info another process leads respond, 10.0.0.2:8080: this file counts once this process leads'])
  })

  test('without respond says who reloads', async () => {
    const text = 'log: { kafka: { brokers: ["kafka:9092"] } }\nsources: [{ name: field, mqtt: { url: "mqtt://broker:1883" } }]\n'
    const { reloading, lines, given } = process(text, { roles: 'ingest, detect' })
    await reloading.signal()
    expect(given).toEqual([])
    expect(lines).toEqual(['info SIGHUP: nothing is reloaded here, the roles are ingest, detect: respond reloads, by picket reload or by SIGHUP to it'])
  })
})
