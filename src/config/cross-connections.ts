/** Rules between keys about addresses, the log, MQTT brokers and roles: who may be reached by whom, and what goes together. */
import { ROLES, type Role } from '../core/role.ts'
import { propertiesOf, ruleOf } from '../core/topic-rule.ts'
import type { CrossProblem } from './cross.ts'
import { isLoopback } from './notation.ts'
import type { Path } from './problems.ts'
import type { Parsed } from './schema.ts'
import { topicsOf } from './topics.ts'

type Sections = Omit<Partial<Parsed>, 'roles'> & { readonly roles?: readonly Role[] }
type Sources = Parsed['sources']

/** Doors that others can reach, and nobody keeps. Ingest alone has nothing behind its HTTP door but metrics and health. */
export function doorProblems({ listen, auth, sources, roles = ROLES }: Sections): CrossProblem[] {
  if (!listen || !auth) return []
  const hasBroker = roles.includes('ingest') && (sources === undefined || sources.some((source) => !source.mqtt))
  const hasApi = roles.includes('detect') || roles.includes('respond')
  const doors = [
    { door: 'mqtt', isKept: !hasBroker || auth.credentials !== undefined, by: 'auth.credentials' },
    { door: 'http', isKept: !hasApi || auth.api.token !== undefined, by: 'auth.api.token' },
  ] as const
  return doors.flatMap(({ door, isKept, by }) => {
    const { host } = listen[door]
    if (isKept || isLoopback(host)) return []
    return [{ path: ['listen', door], text: `is ${host}, which others can reach; allowed without ${by}: 127.0.0.1, ::1, localhost` }]
  })
}

export function logProblems({ log, roles = ROLES }: Sections): CrossProblem[] {
  if (!log) return []
  const { embedded, kafka } = log
  if (!kafka) {
    if (ROLES.every((role) => roles.includes(role))) return []
    return [{ path: ['roles'], text: `are ${roles.join(', ')}; roles need log.kafka: the embedded log lives in one process; allowed without it: ${ROLES.join(', ')}` }]
  }
  const problems: CrossProblem[] = []
  if (embedded) problems.push({ path: ['log', 'kafka'], text: 'is given beside log.embedded; allowed: one of them (--set log.embedded=null leaves the other out)' })
  if (kafka.minInSync > kafka.replication) {
    problems.push({ path: ['log', 'kafka', 'minInSync'], text: `is ${kafka.minInSync}; allowed: at most log.kafka.replication, which is ${kafka.replication}` })
  }
  if (kafka.tls && kafka.tls !== true) problems.push(...halfCertificate(['log', 'kafka', 'tls'], kafka.tls))
  return problems
}

/** What each source says of its broker, and what two say together. */
export function mqttProblems(sources: Sources): CrossProblem[] {
  return sources.flatMap((source, index): CrossProblem[] => {
    const at: Path = ['sources', index]
    const { embedded, mqtt } = source
    if (!embedded && !mqtt) return [{ path: at, text: `is ${source.name}, which has neither; allowed: one of embedded: true, mqtt` }]
    if (embedded && mqtt) return [{ path: [...at, 'mqtt'], text: 'is given beside embedded: true; allowed: one of them' }]
    if (!mqtt) {
      const isSecond = sources.slice(0, index).some((other) => other.embedded)
      const second = isSecond ? [{ path: [...at, 'embedded'], text: 'is the second; allowed: one with embedded: true' }] : []
      return [...second, ...propertyProblems(source, at)]
    }
    return [...propertyProblems(source, at), ...clientProblems([...at, 'mqtt'], mqtt), ...clientIdProblems(sources, index), ...shareProblems(source, at)]
  })
}

type MqttText = NonNullable<Sources[number]['mqtt']>

function clientProblems(at: Path, { url, version, tls, identity, username, password }: MqttText): CrossProblem[] {
  const problems: CrossProblem[] = []
  const speaksTls = /^(?:mqtts|wss):/.test(url)
  if (tls && !speaksTls) problems.push({ path: [...at, 'tls'], text: `is given, but url is ${url.slice(0, url.indexOf(':'))}; allowed: with mqtts and wss` })
  if (tls) problems.push(...halfCertificate([...at, 'tls'], tls))
  if (identity && version !== 5) problems.push({ path: [...at, 'identity'], text: `is given with version ${version}; allowed: with version 5, which has user properties` })
  if (password !== undefined && username === undefined) problems.push({ path: [...at, 'password'], text: 'is given without username; allowed: both' })
  return problems
}

function halfCertificate(at: Path, { cert, key }: { readonly cert?: string | undefined; readonly key?: string | undefined }): CrossProblem[] {
  if ((cert === undefined) === (key === undefined)) return []
  const [given, missing] = cert === undefined ? ['key', 'cert'] : ['cert', 'key']
  return [{ path: [...at, given!], text: `is given without ${missing}; allowed: both` }]
}

/** A broker knows a client by its id: two of one throw each other out. */
function clientIdProblems(sources: Sources, index: number): CrossProblem[] {
  const idOf = ({ name, mqtt }: Sources[number]) => mqtt && { url: mqtt.url, id: mqtt.clientId ?? `picket-${name}` }
  const own = idOf(sources[index]!)
  const twin = sources.slice(0, index).find((other) => idOf(other)?.url === own?.url && idOf(other)?.id === own?.id)
  if (!twin) return []
  return [{ path: ['sources', index, 'mqtt', 'clientId'], text: `is ${own?.id}, as that of ${twin.name} at the same broker, which would throw one of them out; allowed: another` }]
}

/** Members of a share get the messages of one device out of order: only their event time tells. */
function shareProblems({ mqtt, topics }: Sources[number], at: Path): CrossProblem[] {
  if (mqtt?.share === undefined) return []
  const timeless = topicsOf(topics).map(ruleOf).find(({ time }) => time === undefined)
  if (!timeless) return []
  const text = `is given, but topic ${timeless.pattern} does not say time, which tells what is late; allowed: topics that do, such as { pattern: …, time: { field: ts } }`
  return [{ path: [...at, 'mqtt', 'share'], text }]
}

/** User properties are of MQTT 5, which neither the broker inside Picket nor 3.1.1 speaks. */
function propertyProblems({ mqtt, topics, device }: Sources[number], at: Path): CrossProblem[] {
  const problems = topics.flatMap((topic, index): CrossProblem[] => {
    if (typeof topic === 'string' || topic.time?.field === undefined || topic.time.property === undefined) return []
    return [{ path: [...at, 'topics', index, 'time'], text: 'has field and property; allowed: one of them' }]
  })
  const [property] = mqtt?.version === 5 ? [] : propertiesOf(topicsOf(topics), device)
  if (property === undefined) return problems
  const speaker = mqtt ? 'MQTT 3.1.1' : 'the broker inside Picket'
  return [...problems, { path: [...at, 'topics'], text: `name the user property ${property}, and ${speaker} has none; allowed: with mqtt.version 5` }]
}

/** Devices of the embedded broker are reached through the process it is in. */
export function embeddedBrokerProblems({ log, sources, roles = ROLES }: Sections): CrossProblem[] {
  const broker = log?.kafka && sources?.find((source) => source.embedded)
  const [lacks, ...more] = (['ingest', 'respond'] as const).filter((role) => !roles.includes(role))
  if (!broker || lacks === undefined || more.length > 0) return []
  const text = `are ${roles.join(', ')}; source ${broker.name} is the broker inside the ingest process, through which respond reaches its devices; allowed: ${lacks} too, or a source with mqtt`
  return [{ path: ['roles'], text }]
}
