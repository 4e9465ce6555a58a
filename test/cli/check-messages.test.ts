/** What `picket check` says of broken configs, whole: read it as the person would who made the slip. */
import { expect, it } from 'vitest'
import { aConfig, makeLab } from './lab.ts'

interface Broken {
  readonly name: string
  readonly text: string
  readonly set?: readonly string[]
  /** Lines on stderr; the file is `picket.yaml`. */
  readonly says: readonly string[]
}

const BROKEN: readonly Broken[] = [
  { name: 'a key with a slip', text: `
listen:
  mqtt: 127.0.0.1:1883
  htpp: 127.0.0.1:8080
`, says: [
    'picket.yaml:4:3: listen.htpp: unknown key, did you mean http? allowed: mqtt, http, advertise',
  ] },
  { name: 'a key that belongs elsewhere', text: `
classes:
  pump:
    partitions: 8
`, says: [
    'picket.yaml:4:5: classes.pump.partitions: unknown key; allowed: budget, backfill, reports, heartbeat, silence, warmup, window, quarantine, timezone, metrics',
  ] },
  { name: 'an address without a port, and a port that is none', text: `
listen:
  mqtt: localhost
  http: 127.0.0.1:99999
`, says: [
    'picket.yaml:3:9: listen.mqtt: is "localhost"; allowed: host:port with a port from 0 to 65535, such as 127.0.0.1:8080 or "[::1]:8080"',
    'picket.yaml:4:9: listen.http: is "127.0.0.1:99999"; allowed: host:port with a port from 0 to 65535, such as 127.0.0.1:8080 or "[::1]:8080"',
  ] },
  { name: 'doors open to everybody', text: `
listen:
  mqtt: 0.0.0.0:1883
`, says: [
    'picket.yaml:3:9: listen.mqtt: is 0.0.0.0, which others can reach; allowed without auth.credentials: 127.0.0.1, ::1, localhost',
  ] },
  { name: 'numbers out of range', text: `
log:
  embedded: { partitions: 0 }
limits:
  nesting: 100
  fields: 1.5
`, says: [
    'picket.yaml:3:27: log.embedded.partitions: is 0; allowed: a whole number from 1 to 256',
    'picket.yaml:5:12: limits.nesting: is 100; allowed: a whole number from 1 to 32',
    'picket.yaml:6:11: limits.fields: is 1.5; allowed: a whole number from 1 to 4096',
  ] },
  { name: 'a number in quotes, a flag that is a word', text: `
classes:
  pump:
    warmup: "300"
    backfill: yes
`, says: [
    'picket.yaml:4:13: classes.pump.warmup: is "300"; allowed: a whole number from 10 to 1000000',
    'picket.yaml:5:15: classes.pump.backfill: is "yes"; allowed: true or false',
  ] },
  { name: 'durations and sizes without their units', text: `
classes:
  pump:
    heartbeat: 30
    quarantine: { for: 10 min }
limits:
  payload: 64kb
`, says: [
    'picket.yaml:4:16: classes.pump.heartbeat: is 30; allowed: a duration from 1s to 30d with one of the units ms, s, m, h, d, such as 10m',
    'picket.yaml:5:24: classes.pump.quarantine.for: is "10 min"; allowed: a duration from 1s to 30d with one of the units ms, s, m, h, d, such as 10m',
    'picket.yaml:7:12: limits.payload: is "64kb"; allowed: a size from 16B to 256KiB with one of the units B, KiB, MiB, GiB, such as 64KiB',
  ] },
  { name: 'a quarantine without an end', text: `
classes:
  pump:
    quarantine: { from: critical, for: forever }
`, says: [
    'picket.yaml:4:40: classes.pump.quarantine.for: is "forever"; allowed: a duration from 1s to 30d with one of the units ms, s, m, h, d, such as 10m',
  ] },
  { name: 'a budget that is none', text: `
classes:
  pump: { budget: 1 per year }
`, says: [
    'picket.yaml:3:19: classes.pump.budget: is "1 per year"; allowed: N per day, N per week or N per month with N above 0 and at most 1000, such as 1 per month',
  ] },
  { name: 'a budget where none is kept', text: `
sites:
  north: { budget: 1 per day }
devices:
  pump-7: { budget: 1 per day }
`, says: [
    'picket.yaml:3:12: sites.north.budget: is not for one site or device: false alarms are counted by class; say it in classes',
    'picket.yaml:5:13: devices.pump-7.budget: is not for one site or device: false alarms are counted by class; say it in classes',
  ] },
  { name: 'a choice there is not', text: `
classes:
  pump:
    reports: sometimes
    metrics:
      vibration: { severity: severe }
`, says: [
    'picket.yaml:4:14: classes.pump.reports: is "sometimes"; allowed: one of periodic, on-change, scheduled',
    'picket.yaml:6:30: classes.pump.metrics.vibration.severity: is "severe"; allowed: one of warning, minor, major, critical',
  ] },
  { name: 'a slip in never', text: `
classes:
  monitor:
    quarantine: nevr
`, says: [
    'picket.yaml:4:17: classes.monitor.quarantine: is "nevr"; allowed: never, or a mapping with the keys from, for',
  ] },
  { name: 'limits that leave no room', text: `
classes:
  pump:
    metrics:
      temperature: { above: 5, below: 90 }
`, says: [
    'picket.yaml:5:20: classes.pump.metrics.temperature: has below 90 and above 5; allowed: below less than above',
  ] },
  { name: 'a time zone nobody knows', text: `
sites:
  north: { timezone: Europe/Berln }
`, says: [
    'picket.yaml:3:22: sites.north.timezone: is "Europe/Berln"; allowed: an IANA time zone, such as Europe/Berlin',
  ] },
  { name: 'a topic without the part that names the device', text: `
sources:
  - name: embedded
    embedded: true
    topics: [ "telemetry/{class}" ]
`, says: [
    'picket.yaml:5:15: sources.0.topics.0: is "telemetry/{class}", which lacks {device} of device: "{device}"',
  ] },
  { name: 'a topic with a wildcard of MQTT', text: `
sources:
  - name: embedded
    embedded: true
    topics: [ "plant/#" ]
`, says: [
    'picket.yaml:5:15: sources.0.topics.0: is "plant/#"; allowed: levels of plain text or {name} (a-z, 0-9, _), the last also {name+}, joined by /, not under $ or picket/, such as telemetry/{class}/{device}, or a mapping with the keys pattern, codec, time, device, class',
  ] },
  { name: 'a source without a name', text: `
sources:
  - embedded: true
`, says: [
    'picket.yaml:3:5: sources.0.name: is missing; allowed: 1 to 64 small letters, digits and -',
  ] },
  { name: 'a list where a mapping belongs, and text where a list does', text: `
classes:
  - pump
roles: detect
`, says: [
    'picket.yaml:3:3: classes: is a list of 1; allowed: a mapping of class names',
    'picket.yaml:4:8: roles: is "detect"; allowed: a list of 1 to 3 roles',
  ] },
  { name: 'a secret that is not in the environment', text: `
notify:
  - webhook:
      url: https://example.org/picket
      secret: \${PICKET_TEST_UNSET}
`, says: [
    'picket.yaml:5:15: notify.0.webhook.secret: needs the environment variable PICKET_TEST_UNSET, which is not set',
  ] },
  { name: 'a variable where no secret stands, and a URL that is none: a token in it is not shown', text: `
log:
  embedded: { path: "\${HOME}/data" }
notify:
  - webhook: { url: "htps://user:token@hooks.example.org/T0/B0/token" }
`, says: [
    'picket.yaml:3:21: log.embedded.path: has ${…} in it, which is replaced only in password, secret, key, token, username, clientId; write the value itself',
    'picket.yaml:5:21: notify.0.webhook.url: is "htps://hooks.example.org/…"; allowed: an http or https URL',
  ] },
  { name: 'a variable without quotes inside braces', text: `
notify: [ { webhook: { url: "https://example.org/", secret: \${HOOK} } } ]
`, says: [
    'picket.yaml:2:62: is not YAML: inside { } and [ ] put ${NAME} in quotes',
  ] },
  { name: 'a tab', text: `
listen:
\tmqtt: 127.0.0.1:1883
`, says: [
    'picket.yaml:3:1: is not YAML: a tab indents the line; use spaces',
  ] },
  { name: 'a key twice', text: `
classes:
  pump:
    warmup: 100
    silence: false
    warmup: 200
`, says: [
    'picket.yaml:6:5: classes.pump.warmup: is there twice in one mapping; keep one',
  ] },
  { name: 'a bracket that is not closed', text: `
detectors: [ level, limits
roles: [ detect ]
`, says: [
    'picket.yaml:3:1: is not YAML: a [ before this is not closed by ], or what is in it is not indented',
  ] },
  { name: 'an alias of nothing: what may be a secret is not shown', text: `
notify:
  - webhook: { url: "https://example.org/", secret: *hunter2 }
`, says: [
    'picket.yaml:3:53: is not YAML: an alias (*name) of no anchor (&name) before it; put a text that begins with * in quotes',
  ] },
  { name: 'two documents', text: `
listen: {}
---
listen: {}
`, says: [
    'picket.yaml:3:1: is not YAML: a second document begins here; allowed: one',
  ] },
  { name: 'a key that means something to JavaScript', text: `
__proto__:
  warmup: 10
`, says: [
    'picket.yaml:2:1: __proto__: unknown key; none may have this name',
  ] },
  { name: 'roles without a log that several processes share, and a Kafka beside the folder', text: `
log:
  embedded: {}
  kafka: { brokers: [ "kafka" ], replication: 1 }
roles: [ detect ]
`, says: [
    'picket.yaml:4:23: log.kafka.brokers.0: is "kafka"; allowed: host:port with a port from 1 to 65535, such as kafka:9092',
  ] },
  { name: 'no mapping at all', text: `just text
`, says: [
    'picket.yaml:1:1: is "just text"; allowed: a mapping with the keys listen, log, sources, classes, sites, devices, respond, notify, auth, limits, capacity, time, state, detectors, roles',
  ] },
  { name: 'arguments: one without a value, one that is none, one out of range', text: `
time: { tolerance: 5m }
`, set: ['listen.http=', 'listen', 'time.tolerance=500d', 'notify.0.webhook.secret=[hunter2'], says: [
    '--set listen.http: has no value after the =; null stands for a key that is not set',
    '--set listen: is not KEY=VALUE; allowed: a dotted key and its value, such as listen.http=127.0.0.1:8081',
    '--set notify.0.webhook.secret: its value is not YAML: a [ before this is not closed by ], or what is in it is not indented',
    '--set time.tolerance: time.tolerance: is "500d"; allowed: a duration from 1s to 365d with one of the units ms, s, m, h, d, such as 10m',
  ] },
]

it.each(BROKEN)('$name', async ({ text, set = [], says }) => {
  const file = aConfig(text)
  const { code, stdout, stderr } = await makeLab().run('check', '--config', file, ...set.flatMap((argument) => ['--set', argument]))
  expect(stderr.replaceAll(file, 'picket.yaml')).toBe(`picket: ${says.join('\n')}\n`)
  expect([code, stdout]).toEqual([2, ''])
})
