/** Rules between keys of the config: each section is parsed by itself, so that a slip in one never hides a problem in another. */
import { partsOf, ruleOf, topicProblems } from '../core/topic-rule.ts'
import { doorProblems, embeddedBrokerProblems, logProblems, mqttProblems } from './cross-connections.ts'
import type { Path } from './problems.ts'
import { resolveClasses } from './resolve.ts'
import { configSchema, type Parsed } from './schema.ts'
import { topicsOf } from './topics.ts'

export interface CrossProblem {
  readonly path: Path
  readonly text: string
}

/** `value`: the user's, as `configSchema` takes it. Says nothing of sections that the schema refuses. */
export function crossProblems(value: unknown): CrossProblem[] {
  const written = value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {}
  const sections = Object.fromEntries(
    Object.entries(configSchema.shape).flatMap(([key, schema]) => {
      const parsed = schema.safeParse(written[key])
      return parsed.success ? [[key, parsed.data]] : []
    }),
  ) as Partial<Parsed>
  return [
    ...doorProblems(sections),
    ...logProblems(sections),
    ...sourceProblems(sections.sources ?? []),
    ...classProblems(sections),
    ...layerProblems(sections),
    ...groupProblems(sections),
    ...repeated('detectors', sections.detectors ?? []),
    ...repeated('roles', sections.roles ?? []),
    ...embeddedBrokerProblems(sections),
  ]
}

function sourceProblems(sources: Parsed['sources']): CrossProblem[] {
  const problems = repeated(
    'sources',
    sources.map((source) => source.name),
    'name',
  )
  problems.push(...mqttProblems(sources))
  sources.forEach((source, index) => {
    for (const { topic, key, text } of topicProblems(topicsOf(source.topics), source.device)) {
      problems.push({ path: ['sources', index, 'topics', topic, ...(typeof source.topics[topic] === 'string' ? [] : [key])], text })
    }
  })
  return problems
}

function groupProblems({ respond, sources }: Partial<Parsed>): CrossProblem[] {
  const by = respond?.quarantines.group?.by
  if (by === undefined || by === 'class' || !sources) return []
  const parts = sources.flatMap((source) => topicsOf(source.topics).flatMap((topic) => partsOf(ruleOf(topic).pattern)))
  const labels = new Set(['class', ...parts.filter((part) => part !== 'device' && part !== 'metric')])
  if (labels.has(by)) return []
  return [{ path: ['respond', 'quarantines', 'group', 'by'], text: `is "${by}"; allowed: a label that devices have from their topics: ${[...labels].join(', ')}` }]
}

function classProblems({ classes, capacity }: Partial<Parsed>): CrossProblem[] {
  if (!classes) return []
  const resolved = Object.entries(resolveClasses(classes))
  const problems: CrossProblem[] = []
  if (capacity && resolved.length > capacity.classes) {
    const text = `is ${capacity.classes}; allowed: at least ${resolved.length}, the classes named here`
    problems.push({ path: ['capacity', 'classes'], text })
  }
  for (const [name, settings] of resolved) {
    const said = name === 'default' ? settings.metrics : (classes[name]?.metrics ?? {})
    const own = Object.entries(settings.metrics).filter(([metric]) => Object.hasOwn(said, metric))
    problems.push(...crossedLimits(['classes', name], Object.fromEntries(own)))
  }
  return problems
}

/** Of a site or device by itself: over which class it comes to lie is not known here. */
function layerProblems({ sites = {}, devices = {} }: Partial<Parsed>): CrossProblem[] {
  return Object.entries({ sites, devices }).flatMap(([section, layers]) =>
    Object.entries(layers).flatMap(([name, { metrics = {} }]) => crossedLimits([section, name], metrics)),
  )
}

interface Limits {
  readonly above?: number | null | undefined
  readonly below?: number | null | undefined
}

function crossedLimits(path: Path, metrics: Readonly<Record<string, Limits>>): CrossProblem[] {
  return Object.entries(metrics).flatMap(([metric, { above, below }]) => {
    if (above == null || below == null || below < above) return []
    return [{ path: [...path, 'metrics', metric], text: `has below ${below} and above ${above}; allowed: below less than above` }]
  })
}

function repeated(key: string, names: readonly string[], inner?: string): CrossProblem[] {
  return names.flatMap((name, index) => {
    if (names.indexOf(name) === index) return []
    return [{ path: [key, index, ...(inner ? [inner] : [])], text: `is "${name}" again; allowed: each once` }]
  })
}
