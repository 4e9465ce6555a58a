/** The one schema of the config: keys, defaults, units, ranges and what each is for. `config.ts` reads the user's file by it. */
import { z } from 'zod'
import { SEVERITIES } from '../core/incident.ts'
import { DETECTORS } from '../core/settings.ts'
import {
  address,
  budget,
  choice,
  count,
  deviceTemplate,
  duration,
  flag,
  levelName,
  list,
  number,
  section,
  size,
  text,
  topicPattern,
} from './notation.ts'
import type { Path } from './problems.ts'

export const ROLES = ['ingest', 'detect', 'respond'] as const

const path = (of: string) => text(/^[^\u0000]{1,4096}$/, `the path of a ${of}`)

const listen = section({
  mqtt: address().prefault('127.0.0.1:1883').describe('Where devices connect.'),
  http: address().prefault('127.0.0.1:8080').describe('Where the API, metrics and health are.'),
})

const log = section({
  embedded: section({
    path: path('folder').prefault('./data').describe('Folder of the log, from where Picket is started.'),
    partitions: count(1, 256).prefault(4).describe('Fixed once the log is made.'),
  }).prefault({}),
})

const source = section({
  name: text(/^[a-z0-9][a-z0-9-]{0,63}$/, '1 to 64 small letters, digits and -').describe('Names the source in logs and metrics.'),
  embedded: z.literal(true, { error: 'true' }).describe('The broker inside Picket.'),
  topics: list(topicPattern(), { min: 1, max: 64, of: 'topic patterns' })
    .prefault(['telemetry/{class}/{device}', 'telemetry/{class}/{device}/{metric}'])
    .describe('{device} and {class} name the device; with {metric} the payload is one value, else a JSON object.'),
  device: deviceTemplate().prefault('{device}').describe('The name of a device, out of the parts of its topic; unique in the whole log.'),
})

const metric = section({
  unit: text(/^.{0,32}$/, 'at most 32 characters')
    .optional()
    .describe('For people only.'),
  above: number().optional().describe('A reading above it is an incident.'),
  below: number().optional().describe('A reading below it is an incident.'),
  severity: choice(SEVERITIES).optional().describe('Of that incident.'),
})

/** One layer of a class: what it leaves out comes from the class `default`, then from the built-in values of `resolve.ts`. */
const classLayer = section({
  budget: budget().optional().describe('False alarms a device may raise.'),
  backfill: flag().optional().describe('Take event times as they are, however old.'),
  reports: choice(['periodic', 'on-change', 'scheduled']).optional().describe('How its devices send; decides what silence is.'),
  heartbeat: duration('1s', '30d').optional().describe('Longest time between two messages of a healthy device; learnt when left out.'),
  silence: flag().optional().describe('A device that stops sending is an incident.'),
  warmup: count(10, 1_000_000).optional().describe('Readings a series must have had before it may raise an incident.'),
  window: section({
    size: count(1, 10_000).describe('Readings a window holds.'),
    hop: count(1, 10_000).prefault(1).describe('Readings from one window to the next.'),
  })
    .optional()
    .describe('For detectors that look at windows; there are none in this version.'),
  quarantine: z
    .union(
      [
        z.literal('never'),
        section({
          from: choice(SEVERITIES).optional().describe('Least severity of an incident that quarantines its device.'),
          for: duration('1s', '30d').optional().describe('How long; a quarantine always ends.'),
        }),
      ],
      { error: 'never, or a mapping with the keys from, for' },
    )
    .optional()
    .describe('When a device is cut off.'),
  metrics: z
    .record(levelName(), metric.prefault({}), { error: 'a mapping of metric names' })
    .optional()
    .describe('What is known of its metrics.'),
})
export type ClassLayer = z.output<typeof classLayer>

const webhook = section({
  url: z.url({ protocol: /^https?$/, error: 'an http or https URL' }).max(2_048, { error: 'at most 2048 characters' }),
  secret: text(/^.{1,1024}$/s, '1 to 1024 characters, or ${NAME} of an environment variable')
    .optional()
    .describe('Signs each delivery.'),
})

const limits = section({
  payload: size('16B', '256KiB').prefault('64KiB').describe('Of one message.'),
  nesting: count(1, 32).prefault(8).describe('Levels of a JSON payload.'),
  fields: count(1, 4_096).prefault(256).describe('Of one payload.'),
  nameLength: count(8, 1_024).prefault(128).describe('Characters of the name of a device, metric or topic part.'),
  metricsPerDevice: count(1, 4_096).prefault(128).describe('Beyond it metrics are left out and counted.'),
  newSeriesPerMinute: count(1, 4_096).prefault(128).describe('New metrics of one device within a minute.'),
  connections: count(1, 1_000_000).prefault(10_000).describe('MQTT clients at a time.'),
})

const capacity = section({
  devices: count(1, 10_000_000).prefault(10_000),
  series: count(1, 10_000_000).prefault(100_000),
  classes: count(1, 4_096).prefault(64),
  incidents: count(1, 1_000_000).prefault(10_000),
}).describe('Rows a partition; what does not fit is refused, counted, and an incident.')

const state = section({
  expire: duration('1h', '3650d').prefault('30d').describe('Devices and series unseen for so long are forgotten.'),
  checkpoint: section({
    interval: duration('100ms', '1h').prefault('10s').describe('Longest time between two checkpoints of a partition.'),
    bytes: size('64KiB', '1GiB').prefault('16MiB').describe('Changed rows that make the next checkpoint due before its time.'),
  }).prefault({}),
})

export const configSchema = section({
  listen: listen.prefault({}),
  log: log.prefault({}),
  sources: list(source, { min: 1, max: 16, of: 'sources' }).prefault([{ name: 'embedded', embedded: true }]),
  classes: z
    .record(levelName(), classLayer.prefault({}), { error: 'a mapping of class names' })
    .prefault({})
    .describe('A device whose class is not named here is of class default.'),
  notify: list(section({ webhook }), { min: 0, max: 16, of: 'receivers' }).prefault([]).describe('Who hears of incidents.'),
  auth: section({
    credentials: path('file').optional().describe('User names and passwords of devices; without it Picket listens on loopback only.'),
    signingKey: path('file').optional().describe('Ed25519 private key (PEM) that signs commands to devices.'),
  }).prefault({}),
  limits: limits.prefault({}),
  capacity: capacity.prefault({}),
  time: section({
    tolerance: duration('1s', '365d').prefault('5m').describe('How far a device’s own time may lie from its arrival.'),
  }).prefault({}),
  state: state.prefault({}),
  detectors: list(choice(DETECTORS), { min: 1, max: DETECTORS.length, of: 'detectors' }).prefault([...DETECTORS]),
  roles: list(choice(ROLES), { min: 1, max: ROLES.length, of: 'roles' }).prefault([...ROLES]),
})
export type Parsed = z.output<typeof configSchema>

/** Keys of the design that this version can't obey: refused by name rather than ignored. `*` is any one key or index. */
export const NOT_YET: readonly { readonly path: Path; readonly instead: string }[] = [
  { path: ['log', 'kafka'], instead: 'use log.embedded' },
  { path: ['sources', '*', 'mqtt'], instead: 'use embedded: true' },
]
