/** What the config refuses, and in which words: each with its place, key, value and what is allowed. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { DETECTORS } from '../../src/core/settings.ts'
import { ConfigError } from '../../src/config/problems.ts'

/** The message of the refusal, a line a problem. */
function refusal(text: string, set: readonly string[] = []): string[] {
  try {
    loadConfig({ file: 'my.yaml', text, set, environment: {} })
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
  throw new Error('was not refused')
}

describe('a refusal', () => {
  it.each([
    [
      'unknown key at the top',
      'classes: {}\nlisen: {}',
      'my.yaml:2:1: lisen: unknown key, did you mean listen? allowed: listen, log, sources,',
    ],
    ['unknown key inside', 'listen:\n  htpp: x', 'my.yaml:2:3: listen.htpp: unknown key, did you mean http? allowed: mqtt, http, advertise'],
    ['key like no other', 'listen: { zebra: 1 }', 'my.yaml:1:11: listen.zebra: unknown key; allowed: mqtt, http, advertise'],
    ['bad address', 'listen: { mqtt: 1883 }', 'my.yaml:1:17: listen.mqtt: is 1883; allowed: host:port with a port from 0 to 65535'],
    ['port out of range', 'listen: { mqtt: "localhost:70000" }', 'my.yaml:1:17: listen.mqtt: is "localhost:70000"; allowed: host:port'],
    [
      'bare duration',
      'time: { tolerance: 5 }',
      'my.yaml:1:20: time.tolerance: is 5; allowed: a duration from 1s to 365d with one of the units ms, s,',
    ],
    [
      'duration out of range',
      'time: { tolerance: 9000d }',
      'my.yaml:1:20: time.tolerance: is "9000d"; allowed: a duration from 1s to 365d',
    ],
    [
      'bad size',
      'limits: { payload: 64kb }',
      'my.yaml:1:20: limits.payload: is "64kb"; allowed: a size from 16B to 256KiB with one of the units B, KiB,',
    ],
    [
      'fraction',
      'log: { embedded: { partitions: 1.5 } }',
      'my.yaml:1:32: log.embedded.partitions: is 1.5; allowed: a whole number from 1 to 256',
    ],
    [
      'bad budget',
      'classes: { a: { budget: 1 per year } }',
      'my.yaml:1:25: classes.a.budget: is "1 per year"; allowed: N per day, N per week or N',
    ],
    [
      'budget of nothing',
      'classes: { a: { budget: 0 per day } }',
      'my.yaml:1:25: classes.a.budget: is "0 per day"; allowed: N per day, N per week or N',
    ],
    [
      'bad severity',
      'classes: { a: { quarantine: { from: bad } } }',
      'my.yaml:1:37: classes.a.quarantine.from: is "bad"; allowed: one of warning,',
    ],
    [
      'slip in quarantine',
      'classes: { a: { quarantine: nver } }',
      'my.yaml:1:29: classes.a.quarantine: is "nver"; allowed: never, or a mapping with',
    ],
    [
      'key in quarantine',
      'classes: { a: { quarantine: { frm: major } } }',
      'my.yaml:1:31: classes.a.quarantine.frm: unknown key, did you mean from?',
    ],
    [
      'bad class name',
      'classes: { "a/b": {} }',
      'my.yaml:1:12: classes.a/b: is no name; allowed: a name of 1 to 128 characters without white space, /,',
    ],
    [
      'missing key',
      'sources:\n  - embedded: true',
      'my.yaml:2:5: sources.0.name: is missing; allowed: 1 to 64 small letters, digits and -',
    ],
    [
      'wildcard',
      'sources: [{ name: a, embedded: true, topics: ["a/#"] }]',
      'my.yaml:1:47: sources.0.topics.0: is "a/#"; allowed: levels of plain text',
    ],
    [
      'part not in topic',
      'sources: [{ name: a, embedded: true, topics: ["a/{b}"] }]',
      'my.yaml:1:47: sources.0.topics.0: is "a/{b}", which lacks {device}',
    ],
    ['unknown detector', 'detectors: [levle]', `my.yaml:1:13: detectors.0: is "levle"; allowed: one of ${DETECTORS.join(', ')}`],
    ['detector twice', 'detectors: [level, level]', 'my.yaml:1:20: detectors.1: is "level" again; allowed: each once'],
    [
      'bad URL',
      'notify: [{ webhook: { url: nowhere } }]',
      'my.yaml:1:28: notify.0.webhook.url: is "nowhere"; allowed: an http or https URL',
    ],
    [
      'URL with a user, which no delivery could be sent to',
      'notify: [{ webhook: { url: "https://u:hunter2@h.example/x" } }]',
      'my.yaml:1:28: notify.0.webhook.url: is "https://h.example/…"; allowed: a URL without user and password',
    ],
    [
      'limits crossed',
      'classes: { a: { metrics: { t: { above: 1, below: 2 } } } }',
      'my.yaml:1:31: classes.a.metrics.t: has below 2 and above 1; allowed: below',
    ],
    [
      'budget of a site',
      'sites: { north: { budget: 1 per day } }',
      'my.yaml:1:19: sites.north.budget: is not for one site or device: false alarms are counted by class; say it in classes',
    ],
    [
      'budget of a device',
      'devices: { d: { budget: 1 per day } }',
      'my.yaml:1:17: devices.d.budget: is not for one site or device: false alarms are counted by class; say it in classes',
    ],
    [
      'zone that is none',
      'classes: { a: { timezone: Europe/Berln } }',
      'my.yaml:1:27: classes.a.timezone: is "Europe/Berln"; allowed: an IANA time zone, such as Europe/Berlin',
    ],
    [
      'offset as zone',
      'sites: { a: { timezone: "+01:00" } }',
      'my.yaml:1:25: sites.a.timezone: is "+01:00"; allowed: an IANA time zone, such as Europe/Berlin',
    ],
    [
      'limits of a site crossed',
      'sites: { a: { metrics: { t: { above: 1, below: 2 } } } }',
      'my.yaml:1:29: sites.a.metrics.t: has below 2 and above 1; allowed: below less than above',
    ],
    ['mapping expected', 'log: 5', 'my.yaml:1:6: log: is 5; allowed: a mapping with the keys embedded'],
    [
      'limits of default crossed, said of no class that only inherits them',
      'classes: { default: { metrics: { t: { above: 1, below: 2 } } }, b: { metrics: { u: {} } } }',
      'my.yaml:1:37: classes.default.metrics.t: has below 2 and above 1',
    ],
    [
      'limit of default that a class crosses',
      'classes: { default: { metrics: { t: { above: 1 } } }, b: { metrics: { t: { below: 2 } } } }',
      'my.yaml:1:74: classes.b.metrics.t: has below 2 and above 1',
    ],
    [
      'group by what is no label',
      'respond: { quarantines: { group: { by: device, atOnce: 1 } } }',
      'my.yaml:1:40: respond.quarantines.group.by: is "device"; allowed: a label that devices have from their topics: class',
    ],
    [
      'number that no machine holds exactly',
      'capacity: { devices: 123456789012345678901234567890 }',
      'my.yaml:1:22: capacity.devices: is 1.2345678901234568e+29; allowed: a whole number from 1 to 10000000',
    ],
    ['too many in a list', 'detectors: []', 'my.yaml:1:12: detectors: is a list of 0; allowed: a list of 1 to'],
    ['no mapping at all', '- a', 'my.yaml:1:1: is a list of 1; allowed: a mapping with the keys listen,'],
    ['dangerous key', '__proto__: { a: 1 }', 'my.yaml:1:1: __proto__: unknown key'],
    [
      'few classes',
      'capacity: { classes: 1 }\nclasses: { a: {} }',
      'my.yaml:1:22: capacity.classes: is 1; allowed: at least 2, the classes named here',
    ],
  ])('names place, key, value and what is allowed: %s', (_, text, line) => {
    expect(refusal(text)).toEqual([expect.stringContaining(line)])
  })

  it('lists every problem at once', () => {
    const lines = refusal('listen: { mqtt: 5, htpp: 1 }\nlimits: { nesting: 0 }\nroles: [detect]', ['time.tolerance=x', 'nonsense'])
    expect(lines.map((line) => line.split(': ')[1]).sort()).toEqual(
      ['limits.nesting', 'listen.htpp', 'listen.mqtt', 'roles', 'time.tolerance', 'is not KEY=VALUE; allowed'].sort(),
    )
  })

  it('shows the first syntax errors with their places', () => {
    expect(refusal('a: 1\nb: [1,\na: 2\n')[0]).toMatch(/^my\.yaml:3:1: is not YAML: /)
  })

  it('says how to write ${NAME} inside braces', () => {
    expect(refusal('notify: [ { webhook: { url: "http://h/", secret: ${HOOK} } } ]')[0]).toContain('put ${NAME} in quotes')
  })

  it('names a file that is not there and what to do', () => {
    expect(() => loadConfig({ file: 'no/such.yaml' })).toThrow(/^no\/such\.yaml: can't be read \(ENOENT.*--config FILE$/)
  })
})

describe('doors', () => {
  it.each(['0.0.0.0:80', '"[::]:80"', 'picket.example:80'])('of HTTP open to others need a token, whatever devices need: %s', (address) => {
    const text = `listen: { http: ${address} }\nauth: { credentials: ./c`
    expect(refusal(`${text} }`)).toEqual([expect.stringContaining('allowed without auth.api.token: 127.0.0.1, ::1, localhost')])
    expect(() => loadConfig({ file: 'f', text: `${text}, api: { token: 0123456789abcdef } }` })).not.toThrow()
  })

  it.each(['0.0.0.0:1883', '192.168.1.4:1883', '"[::]:1883"', 'picket.example:1883'])('open to others need credentials: %s', (address) => {
    expect(refusal(`listen: { mqtt: ${address} }`)).toEqual([
      expect.stringContaining('allowed without auth.credentials: 127.0.0.1, ::1, localhost'),
    ])
    expect(() => loadConfig({ file: 'f', text: `listen: { mqtt: ${address} }\nauth: { credentials: ./c }` })).not.toThrow()
  })

  it.each(['localhost:1883', '127.0.0.2:0', '"[::1]:1883"'])('on loopback need none: %s', (address) => {
    expect(() => loadConfig({ file: 'f', text: `listen: { http: ${address} }` })).not.toThrow()
  })

  it('are found open even where another section is wrong', () => {
    expect(refusal('listen: { http: 0.0.0.0:80 }\nlimits: { fields: 0 }')).toHaveLength(2)
  })
})

describe('--set', () => {
  it('is named as the place of its problem', () => {
    expect(refusal('', ['listen.http=9'])[0]).toMatch(/^--set listen\.http: listen\.http: is 9; allowed: host:port/)
  })

  it('is named by the last argument that wrote the value', () => {
    expect(refusal('', ['listen={http: 127.0.0.1:1}', 'listen.http=9'])[0]).toMatch(/^--set listen\.http: listen\.http: is 9;/)
  })

  it('refuses an unknown path as the file does', () => {
    expect(refusal('', ['lisen.http=9'])[0]).toMatch(/^--set lisen\.http: lisen: unknown key, did you mean listen\?/)
  })

  it('refuses what is not KEY=VALUE', () => {
    expect(refusal('', ['=1', 'a..b=1'])).toEqual([
      '--set: is not KEY=VALUE; allowed: a dotted key and its value, such as listen.http=127.0.0.1:8081',
      '--set a..b: is not KEY=VALUE; allowed: a dotted key and its value, such as listen.http=127.0.0.1:8081',
    ])
  })

  it.each(['listen.http=', 'listen.http= '])('refuses %j, which says nothing', (argument) => {
    expect(refusal('', [argument])).toEqual(['--set listen.http: has no value after the =; null stands for a key that is not set'])
  })

  it('says once that a text is no list', () => {
    expect(refusal('', ['roles=ingest'])).toEqual(['--set roles: roles: is "ingest"; allowed: a list of 1 to 3 roles'])
  })

  it('refuses a value that is not YAML', () => {
    expect(refusal('', ['detectors=[level'])[0]).toBe('--set detectors: its value is not YAML: a [ before this is not closed by ], or what is in it is not indented')
  })
})

describe('secrets', () => {
  it('name the key and the variable that is missing', () => {
    const text = 'notify:\n  - webhook:\n      url: http://h/\n      secret: ${HOOK}'
    expect(refusal(text)).toEqual(['my.yaml:4:15: notify.0.webhook.secret: needs the environment variable HOOK, which is not set'])
  })

  it.each([
    ['${HOOK}', { HOOK: '' }, 'needs the environment variable HOOK, which is empty'],
    ['${constructor}', {}, 'needs the environment variable constructor, which is not set'],
    ['$HOOK_SECRET', { HOOK_SECRET: 's' }, 'is a variable without braces; allowed: ${NAME} of an environment variable, ${file:PATH} of a file'],
  ])('tell a slip in the variable: %s', (secret, environment, line) => {
    expect(() => loadConfig({ file: 'f', text: `notify: [{ webhook: { url: "http://h/", secret: "${secret}" } }]`, environment })).toThrow(line)
  })

  it('are the only values that are substituted', () => {
    expect(refusal('log: { embedded: { path: "${HOME}/x" } }')).toEqual([
      'my.yaml:1:26: log.embedded.path: has ${…} in it, which is replaced only in password, secret, key, token, username, clientId; write the value itself',
    ])
  })

  it.each(['${HOOK', 'a-${', '${A}${HOOK'])('that begin a reference and never end it are refused: %s', (secret) => {
    const text = `notify: [{ webhook: { url: "http://h/", secret: "${secret}" } }]`
    expect(() => loadConfig({ file: 'f', text, environment: { A: 'a' }, unsetSecrets: 'leave' })).toThrow('secret: has ${ without a } after it; allowed: ${NAME} of an environment variable, ${file:PATH} of a file')
  })

  it.each([
    ['notify: https://u:hunter2@h.example/hunter2', 'notify: is "https://h.example/…"; allowed: a list'],
    ['notify: [ "https://h.example?hunter2" ]', 'notify.0: is "https://h.example/…"; allowed: a mapping'],
    ['notify: [ { webhook: h.example/hunter2 } ]', 'notify.0.webhook: is "h.example/…"; allowed: a mapping'],
    ['notify: [ { webhook: { url: "http://h/", https://h.example/hunter2 } } ]', 'notify.0.webhook."https://h.example/…": unknown key'],
    ['auth: https://u:hunter2@h.example/', 'auth: is "https://h.example/…"; allowed: a mapping'],
    ['auth: { signingKey: "-----BEGIN PRIVATE KEY-----\\nhunter2" }', 'auth.signingKey: is a text of several lines; allowed: the path of a file'],
  ])('in the wrong place are not shown: %s', (text, line) => {
    const [said] = refusal(text)
    expect(said).toContain(line)
    expect(said).not.toContain('hunter2')
  })

  it('never appear in a refusal', () => {
    const lines = refusal('notify: [{ webhook: { url: http://h/, secret: 12345 } }]\nlog: { secret: hunter2 }\nauth: [{ key: hunter2 }]')
    expect(lines).toHaveLength(3)
    expect(lines.join('\n')).not.toMatch(/12345|hunter2/)
  })
})

/** Nine lists, each of nine of the one before: 9^9 ones once all are followed. */
function aliases(): string {
  const lists = [...'bcdefghi'].map((name, index) => `${name}: &${name} [${`*${'abcdefgh'[index]},`.repeat(9)}]`)
  return ['a: &a [1,1,1,1,1,1,1,1,1]', ...lists].join('\n')
}

describe('hostile input', () => {
  it.each([
    ['nesting without end', '['.repeat(50_000)],
    ['aliases that multiply', aliases()],
    ['a file too long', '#'.repeat(2_000_000)],
    ['NUL', 'a\0b: {}'],
  ])('is refused and no more: %s', (_, text) => {
    expect(refusal(text).length).toBeLessThan(10)
  })

  it('of any shape is loaded or refused, never anything else', () => {
    const keys = fc.constantFrom(
      'listen',
      'classes',
      'default',
      'metrics',
      'quarantine',
      'sources',
      'notify',
      'webhook',
      'secret',
      '__proto__',
      'x',
    )
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom(null, 0, -1, 1e300, true, '', '${A}', 'never', '1 per day', '10m'),
        fc.dictionary(keys, tie('tree')),
        fc.array(tie('tree'), { maxLength: 3 }),
      ),
    }))
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          tree.map((value) => JSON.stringify(value)),
        ),
        fc.array(fc.string({ maxLength: 12 }), { maxLength: 2 }),
        (text, set) => {
          try {
            loadConfig({ file: 'f', text, set, environment: {} })
          } catch (error) {
            if (!(error instanceof ConfigError)) throw error
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})
