/** `picket check` of a good config, its `--explain`, and `picket schema`; what it says of broken ones is in check-messages.test.ts. */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { aConfig, makeLab } from './lab.ts'

const GOOD = `listen: { mqtt: 127.0.0.1:18830, http: "[::1]:18080" }
log: { embedded: { path: ./my-data, partitions: 2 } }
sources: [ { name: field, embedded: true, topics: [ "t/{site}/{class}/{device}" ], device: "{site}/{device}" } ]
classes: { pump: { warmup: 50 }, monitor: { quarantine: never } }
sites: { north: { timezone: Europe/Berlin } }
devices: { north/dear: { quarantine: never }, south/worn: { quarantine: { from: major } } }
state: { checkpoint: { interval: 30s, bytes: 8MiB } }
notify: [ { webhook: { url: "https://example.org/hook", secret: "\${PICKET_TEST_SECRET}" } } ]
`

function withSecret(value: string): void {
  vi.stubEnv('PICKET_TEST_SECRET', value)
  onTestFinished(() => void vi.unstubAllEnvs())
}

describe('picket check', () => {
  it('says what a good config amounts to, and ends with 0', async () => {
    withSecret('hunter2')
    const file = aConfig(GOOD)
    const { code, stdout, stderr } = await makeLab().run('check', '--config', file)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout.replace(file, 'picket.yaml').replace(/^detectors .*\n/m, '')).toBe(
      `picket.yaml: ok
listen      MQTT 127.0.0.1:18830, HTTP [::1]:18080
log         ./my-data, 2 partitions
source      field: t/{site}/{class}/{device}
settings    class default, pump, monitor; site north; device north/dear, south/worn
quarantine  at most 10 a minute by incidents, 100 devices at a time
never cut   class monitor; device north/dear; but device south/worn can be, whatever class and site say
notify      1 receiver
checkpoint  of a partition every 30 s, sooner once 8 MiB of its rows have changed
replay      after a crash at most what came since the checkpoint: 150000 messages at 5000 a second, about 750 ms
`,
    )
  })

  it('says of a layer that lifts a never only where there is one to lift', async () => {
    const { stdout } = await makeLab().run('check', '--config', aConfig(), '--set', 'devices.worn={quarantine: {from: major}}')
    expect(stdout).toContain('\nnever cut   nobody\n')
  })

  it('says that nobody is cut off where enforcement is off', async () => {
    const { stdout } = await makeLab().run('check', '--config', aConfig(), '--set', 'respond.enforcement=off')
    expect(stdout).toContain('\nquarantine  off: no device is cut off (respond.enforcement)\n')
  })

  it('notes what has no effect', async () => {
    const { stdout } = await makeLab().run('check', '--config', aConfig(), '--set', 'sites.north={silence: false}')
    expect(stdout).toContain('\nnote        sites has no effect: no topic of sources has the part {site}\n')
  })

  it('says the same to programs', async () => {
    withSecret('hunter2')
    const { json } = await makeLab().run('check', '--config', aConfig(GOOD), '--json')
    expect(json).toEqual([
      expect.objectContaining({
        ok: true,
        listen: { mqtt: '127.0.0.1:18830', http: '[::1]:18080' },
        log: { path: './my-data', partitions: 2 },
        never: { classes: ['monitor'], sites: [], devices: ['north/dear'], unless: ['device south/worn'] },
        receivers: 1,
        checkpoint: { bytes: 8_388_608, intervalMs: 30_000, replayMs: 750, messagesPerSecond: 5_000 },
        remarks: [],
      }),
    ])
  })

  it('gives programs every problem with its place, and ends with 2', async () => {
    const file = aConfig('listen:\n  htpp: 1\n')
    const { code, json } = await makeLab().run('check', '--config', file, '--set', 'time.tolerance=5', '--json')
    expect(code).toBe(2)
    expect(json).toEqual([
      {
        ok: false,
        file,
        problems: [
          { place: `${file}:2:3`, file, line: 2, column: 3, key: 'listen.htpp', text: 'unknown key, did you mean http? allowed: mqtt, http, advertise' },
          expect.objectContaining({ place: '--set time.tolerance', file: null, line: null, column: null, key: 'time.tolerance' }),
        ],
      },
    ])
  })

  it('names its command line in --help', async () => {
    expect((await makeLab().run('check', '--help')).stdout).toContain('--explain <device metric...>')
  })
})

describe('picket check --explain', () => {
  const explain = async (...args: readonly string[]) => {
    const file = aConfig(GOOD)
    const { code, stdout, json, stderr } = await makeLab({ fetch: running }).run('check', '--config', file, '--explain', ...args)
    return { code, json, stderr, stdout: stdout.replaceAll(file, 'picket.yaml') }
  }
  const running: typeof fetch = async () => Response.json({ id: 'south/p', class: 'pump', labels: { class: 'pump', site: 'south' }, state: 'normal', learning: 1, lastSeen: null, metrics: {} })

  it('is a table of what is in force, without a secret having to be there', async () => {
    const { code, stdout } = await explain('north/p7', 'vibration', '--class', 'pump')
    expect(code).toBe(0)
    expect(stdout).toBe(`device north/p7, metric vibration
class  pump (as given)
site   north (from the device's name)

KEY                         VALUE          FROM        WHERE
budget                      1 per month    default     built in
backfill                    false          default     built in
reports                     periodic       default     built in
heartbeat                   learnt         default     built in
silence                     true           default     built in
warmup                      50             class pump  picket.yaml:4:28
timezone                    Europe/Berlin  site north  picket.yaml:5:29
quarantine.from             critical       default     built in
quarantine.for              10m            default     built in
metrics.vibration.unit      ""             default     built in
metrics.vibration.above     no limit       default     built in
metrics.vibration.below     no limit       default     built in
metrics.vibration.severity  major          default     built in
`)
  })

  it('says what it assumed', async () => {
    const { stdout } = await explain('p7', 'vibration')
    const how = 'assumed: give it, or --url of a running Picket that knows the device'
    expect(stdout).toContain(`\nclass  default (${how})\nsite   none (${how})\n`)
  })

  it('asks the running Picket at --url', async () => {
    const { stdout } = await explain('south/p', 'vibration', '--url', 'http://picket.test')
    expect(stdout).toContain('\nclass  pump (as the running Picket has it)\nsite   south (as the running Picket has it)\n')
  })

  it('says of a class that is not named that default holds', async () => {
    expect((await explain('d', 'm', '--class', 'valve')).stdout).toContain('\nclass  valve (as given): not named in the configuration, so that default holds\n')
  })

  it('gives programs a line a value', async () => {
    const { json } = await explain('north/p7', 'vibration', '--class', 'pump', '--json')
    expect(json).toContainEqual({
      device: 'north/p7', metric: 'vibration', class: 'pump', classFrom: 'option', site: 'north', siteFrom: 'name',
      key: 'warmup', value: 50, layer: 'class pump', place: expect.stringMatching(/picket\.yaml:4:28$/) as string,
    })
  })

  it.each([[['p7']], [['p7', 'vibration', 'more']]])('takes one device and one metric, not %j', async (words) => {
    const { code, stderr } = await explain(...words)
    expect(code).toBe(2)
    expect(stderr).toMatch(/device and (?:a|one) metric/)
  })
})

describe('a secret', () => {
  it('is in nothing that check and schema print, right or wrong', async () => {
    withSecret('hunter2')
    const lab = makeLab()
    const file = aConfig(GOOD)
    const wrong = ['notify.0.webhook.secret={a: hunter2}', 'notify.0.webhook.secrt=hunter2', 'notify.0.webhook.secret=*hunter2', 'notify.0.webhook.secret="\\hunter2"', 'notify.0.webhook.url=x://hunter2@h/hunter2']
    await lab.run('check', '--config', file)
    await lab.run('check', '--config', file, '--json')
    await lab.run('check', '--config', file, '--explain', 'north/p7', 'vibration', '--json')
    for (const set of wrong) {
      expect((await lab.run('check', '--config', file, '--set', set, '--json')).code).toBe(2)
    }
    await lab.run('schema')
    expect(lab.printed.stdout.length + lab.printed.stderr.length).toBeGreaterThan(5_000)
    expect(lab.printed.stdout + lab.printed.stderr).not.toContain('hunter2')
  })
})

describe('picket schema', () => {
  it('prints JSON Schema 2020-12', async () => {
    const { code, stdout } = await makeLab().run('schema')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Picket’s configuration' })
  })

  it('prints the reference page with --markdown', async () => {
    expect((await makeLab().run('schema', '--markdown')).stdout).toMatch(/^# Configuration\n/)
  })
})
