/** The one schema of the config: keys, defaults, units, ranges and what each is for. `config.ts` reads the user's file by it. */
import { z } from 'zod'
import { SEVERITIES } from '../core/incident.ts'
import { ROLES } from '../core/role.ts'
import { DETECTORS } from '../core/settings.ts'
import { CODECS, TIME_UNITS } from '../core/topic-rule.ts'
import { kafkaLog, mqttSource, propertyName } from './connections.ts'
import {
  address,
  budget,
  choice,
  count,
  deviceName,
  deviceTemplate,
  duration,
  fieldName,
  flag,
  levelName,
  list,
  nameTemplate,
  number,
  path,
  replaced,
  section,
  siteName,
  size,
  text,
  timezone,
  TOPIC_ALLOWED,
  topicPattern,
} from './notation.ts'
import type { Path } from './problems.ts'

const listen = section({
  mqtt: address().prefault('127.0.0.1:1883').describe('Where devices connect.'),
  http: address().prefault('127.0.0.1:8080').describe('Where the API, metrics and health are; off loopback only with auth.api.token.'),
  advertise: address()
    .optional()
    .describe('Where other processes and people reach listen.http: answers name it. When left out, listen.http, with the name of the machine where that is all addresses.'),
})

export const embeddedLog = section({
  path: path('folder').prefault('./data').describe('Folder of the log, from where Picket is started.'),
  partitions: count(1, 256, 'partitions').prefault(4).describe('Fixed once the log is made.'),
  retention: section({
    size: size('256MiB', '65536GiB').prefault('8GiB').describe('Of readings and dead letters on the disk.'),
    age: duration('1h', '3650d').prefault('7d').describe('Of a reading or dead letter, from its arrival.'),
  })
    .prefault({})
    .describe('Beyond either, the oldest readings and dead letters go, file by file. Incidents stay 400 days, requests 90, actions for ever.'),
  reserve: size('1MiB', '1GiB').prefault('16MiB').describe('Room on the disk kept for the moment it is full.'),
})

const log = section({
  embedded: embeddedLog.optional().describe('The log inside Picket, on the disk of this machine; what is used where log.kafka is not given.'),
  kafka: kafkaLog.optional(),
  frame: section({
    messages: count(1, 4_096, 'messages').prefault(4_096).describe('Most messages of one record of the readings; 1: a record each, keyed by its device, for other tools.'),
  })
    .prefault({})
    .describe('How readings are packed.'),
})

const topic = section({
  pattern: topicPattern().describe('Topics it is about; a last level such as {metric+} takes all levels that are left.'),
  codec: choice(CODECS).optional().meta({ builtIn: 'auto' }).describe('How payloads are read; auto: a number by its first character, else JSON.'),
  time: section({
    field: fieldName().optional().describe('Dotted where it is nested; ts, timestamp or time when left out.'),
    property: propertyName().optional().describe('Instead of a field: the name of a user property of MQTT 5.'),
    unit: choice(TIME_UNITS).optional().meta({ builtIn: 'auto' }).describe('auto: ISO 8601, or of a number by its digits s (10), µs (16), else ms.'),
  })
    .optional()
    .describe('Where a JSON payload, or a user property, says when its values were taken.'),
  device: nameTemplate().optional().describe('Instead of the device of the source; {payload.a.b} is a field of the payload, {property.name} a user property of MQTT 5.'),
  class: nameTemplate().optional().describe('The class where the topic has no {class}; may have {payload.a.b} and {property.name} too.'),
})
export type TopicText = z.output<typeof topic>

const source = section({
  name: text(/^[a-z0-9][a-z0-9-]{0,63}$/, '1 to 64 small letters, digits and -').describe('Names the source in logs and metrics.'),
  embedded: z.literal(true, { error: 'true' }).optional().describe('The broker inside Picket: this, or mqtt.'),
  mqtt: mqttSource.optional(),
  topics: list(z.union([topicPattern(), topic], { error: TOPIC_ALLOWED }), { min: 1, max: 64, of: 'topics' })
    .prefault(['telemetry/{class}/{device}', 'telemetry/{class}/{device}/{metric}'])
    .describe('Tried in order. {device} and {class} name the device; with {metric} the payload is one value, else a JSON object.'),
  device: deviceTemplate().prefault('{device}').describe('The name of a device, out of the parts of its topic; unique in the whole log.'),
})

export const metric = section({
  unit: text(/^.{0,32}$/, 'at most 32 characters')
    .optional()
    .meta({ builtIn: '' })
    .describe('For people only.'),
  above: number().optional().describe('A reading above it is an incident; no such limit when left out.'),
  below: number().optional().describe('A reading below it is an incident; no such limit when left out.'),
  severity: choice(SEVERITIES).optional().meta({ builtIn: 'major' }).describe('Of that incident.'),
})

export const quarantine = section({
  from: choice(SEVERITIES).optional().meta({ builtIn: 'critical' }).describe('Least severity of an incident that quarantines its device.'),
  for: duration('1s', '30d').optional().meta({ builtIn: '10m' }).describe('How long; a quarantine always ends.'),
})

/** What a class, a site and a device may say: what one leaves out comes from the layer under it, at last from `core/settings.ts`. */
const layer = section({
  backfill: flag().optional().meta({ builtIn: false }).describe('Take event times as they are, however old.'),
  reports: choice(['periodic', 'on-change', 'scheduled']).optional().meta({ builtIn: 'periodic' }).describe('How its devices send; decides what silence is.'),
  heartbeat: duration('1s', '30d').optional().describe('Longest time between two messages of a healthy device; learnt when left out.'),
  silence: flag().optional().meta({ builtIn: true }).describe('A device that stops sending is an incident.'),
  warmup: count(10, 1_000_000, 'readings').optional().meta({ builtIn: 300 }).describe('Readings a series must have had before it may raise an incident.'),
  window: section({
    size: count(1, 10_000, 'readings').describe('Readings a window holds.'),
    hop: count(1, 10_000, 'readings').prefault(1).describe('Readings from one window to the next.'),
  })
    .optional()
    .describe('For detectors that look at windows; there are none in this version.'),
  quarantine: z
    .union(
      [
        z.literal('never'),
        quarantine,
      ],
      { error: 'never, or a mapping with the keys from, for' },
    )
    .optional()
    .describe('When a device is cut off: never, or from which severity on and for how long.'),
  timezone: timezone().optional().meta({ builtIn: 'UTC' }).describe('Whose clock its devices live by: what is normal by the time of day follows it.'),
  metrics: z
    .record(levelName(), metric.prefault({}), { error: 'a mapping of metric names' })
    .optional()
    .describe('What is known of its metrics.'),
})
export type LayerText = z.output<typeof layer>

export const classLayer = section({ budget: budget().optional().meta({ builtIn: '1 per month' }).describe('False alarms a device may raise.'), ...layer.shape })
export type ClassLayer = z.output<typeof classLayer>

const webhook = section({
  url: z
    .url({ protocol: /^https?$/, error: 'an http or https URL', abort: true })
    .max(2_048, { error: 'at most 2048 characters' })
    .refine((url) => new URL(url).username + new URL(url).password === '', { error: 'a URL without user and password, which no delivery can carry; secret signs each' })
    .meta({ notation: { type: 'URL', range: 'http or https, at most 2048 characters' } })
    .describe('Where each revision of an incident is POSTed to.'),
  secret: text(/^[\s\S]{1,1024}$/, '1 to 1024 characters, or ${NAME} of an environment variable')
    .optional()
    .describe('Signs each delivery.'),
  group: duration('1s', '10m').optional().describe('Revisions of one device within so long go as one delivery; each by itself when left out.'),
})

/** Of the process that leads respond; what a device's own policy is stands in its class. */
const respond = section({
  enforcement: choice(['on', 'off']).prefault('on').describe('With off no further device is quarantined, whatever is asked of the running Picket; releases still leave.'),
  quarantines: section({
    perMinute: count(1, 1_000, 'quarantines').prefault(10).describe('Quarantines that incidents may begin within a minute; more wait.'),
    atOnce: count(1, 10_000, 'devices').prefault(100).describe('Devices quarantined at a time; more wait.'),
    group: section({
      by: text(/^[a-z][a-z0-9_]{0,31}$/, 'class, or a named part of the topics such as site').describe('What the devices of a group have in common.'),
      atOnce: count(1, 10_000, 'devices').describe('Devices of one group quarantined at a time; more wait.'),
    })
      .optional()
      .describe('A further bound on each group.'),
  })
    .prefault({})
    .describe('How many devices may be cut off.'),
})

const limits = section({
  payload: size('16B', '256KiB').prefault('64KiB').describe('Of one message.'),
  nesting: count(1, 32, 'levels').prefault(8).describe('Levels of a JSON payload.'),
  fields: count(1, 4_096, 'fields').prefault(256).describe('Of one sample.'),
  samples: count(1, 4_096, 'samples').prefault(1_024).describe('Of one payload that is a list.'),
  nameLength: count(8, 1_024, 'characters').prefault(128).describe('Characters of the name of a device, metric or topic part.'),
  metricsPerDevice: count(1, 4_096, 'metrics').prefault(128).describe('Beyond it metrics are left out and counted.'),
  newSeriesPerMinute: count(1, 4_096, 'metrics').prefault(128).describe('New metrics of one device within a minute.'),
  connections: count(1, 1_000_000, 'clients').prefault(10_000).describe('MQTT clients at a time.'),
})

const capacity = section({
  devices: count(1, 10_000_000, 'devices').prefault(10_000).describe('Devices a partition knows at a time.'),
  series: count(1, 10_000_000, 'metrics').prefault(100_000).describe('Metrics of all its devices together.'),
  classes: count(1, 4_096, 'classes').prefault(64).describe('At least those named here, default among them.'),
  incidents: count(1, 1_000_000, 'incidents').prefault(10_000).describe('Open at a time.'),
}).describe('Rows a partition; what does not fit is refused, counted, and an incident.')

const state = section({
  expire: duration('1h', '3650d').prefault('30d').describe('Devices and series unseen for so long are forgotten.'),
  checkpoint: section({
    interval: duration('100ms', '1h').prefault('10s').describe('Longest time between two checkpoints of a partition.'),
    bytes: size('64KiB', '1GiB').prefault('16MiB').describe('Changed rows that make the next checkpoint due before its time.'),
  })
    .prefault({})
    .describe('When what was learnt is made durable: what a crash replays lies between two of them.'),
})

export const configSchema = section({
  listen: listen.prefault({}).describe('Addresses; off loopback MQTT only with auth.credentials, HTTP only with auth.api.token.'),
  log: log.prefault({}).describe('Everything Picket remembers.'),
  sources: list(source, { min: 1, max: 16, of: 'sources' }).prefault([{ name: 'embedded', embedded: true }]).describe('Where messages come from.'),
  classes: z
    .record(levelName(), classLayer.prefault({}), { error: 'a mapping of class names' })
    .prefault({})
    .describe('A device whose class is not named here is of class default.'),
  sites: z
    .record(siteName(), layer.prefault({}), { error: 'a mapping of site names' })
    .prefault({})
    .describe('Over the class of each device whose topic has the part {site} of this name.'),
  devices: z
    .record(deviceName(), layer.prefault({}), { error: 'a mapping of device names' })
    .prefault({})
    .describe('Over class and site of the device of this name.'),
  respond: respond.prefault({}).describe('How much of the fleet may be cut off.'),
  notify: list(section({ webhook: webhook.describe('An HTTP receiver.') }), { min: 0, max: 16, of: 'receivers' }).prefault([]).describe('Who hears of incidents.'),
  auth: section({
    credentials: path('file').optional().describe('User names and passwords of devices; without it listen.mqtt is on loopback only.'),
    signingKey: path('file').optional().describe('Ed25519 private key (PEM) that signs commands to devices.'),
    api: section({
      token: replaced(/^[\x21-\x7e]{16,512}$/, '16 to 512 visible ASCII characters')
        .optional()
        .describe('What HTTP requests must bear (Authorization: Bearer …), but for metrics and health.'),
    })
      .prefault({})
      .describe('Who may ask Picket.'),
  })
    .prefault({})
    .describe('Who may connect, and how a device knows that a command is ours.'),
  limits: limits.prefault({}).describe('What a door refuses.'),
  capacity: capacity.prefault({}),
  time: section({
    tolerance: duration('1s', '365d').prefault('5m').describe('How far a device’s own time may lie from its arrival.'),
  })
    .prefault({})
    .describe('Clocks.'),
  state: state.prefault({}).describe('What was learnt.'),
  detectors: list(choice(DETECTORS), { min: 1, max: DETECTORS.length, of: 'detectors' }).prefault([...DETECTORS]).describe('Which detectors have a say.'),
  roles: list(choice(ROLES), { min: 1, max: ROLES.length, of: 'roles' }).prefault([...ROLES]).describe('What this process does; all of them with the embedded log. --roles of picket run says it for one process.'),
})
export type Parsed = z.output<typeof configSchema>

const BY_CLASS = 'is not for one site or device: false alarms are counted by class; say it in classes'
/** Keys in a place where they mean nothing: refused with the reason rather than as unknown. */
export const MISPLACED: readonly { readonly path: Path; readonly text: string }[] = [
  { path: ['sites', '*', 'budget'], text: BY_CLASS },
  { path: ['devices', '*', 'budget'], text: BY_CLASS },
]
