/** Rules between keys of the config: each section is parsed by itself, so that a slip in one never hides a problem in another. */
import { isLoopback, partsOf } from './notation.ts'
import type { Path } from './problems.ts'
import { resolveClasses } from './resolve.ts'
import { configSchema, ROLES, type Parsed } from './schema.ts'

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
    ...openDoors(sections),
    ...sourceProblems(sections.sources ?? []),
    ...classProblems(sections),
    ...repeated('detectors', sections.detectors ?? []),
    ...repeated('roles', sections.roles ?? []),
    ...splitRoles(sections.roles ?? ROLES),
  ]
}

function openDoors({ listen, auth }: Partial<Parsed>): CrossProblem[] {
  if (!listen || !auth || auth.credentials !== undefined) return []
  const open = (['mqtt', 'http'] as const).filter((door) => !isLoopback(listen[door].host))
  return open.map((door) => ({
    path: ['listen', door],
    text: `is ${listen[door].host}, which others can reach; allowed without auth.credentials: 127.0.0.1, ::1, localhost`,
  }))
}

function sourceProblems(sources: Parsed['sources']): CrossProblem[] {
  const problems = repeated(
    'sources',
    sources.map((source) => source.name),
    'name',
  )
  sources.forEach((source, index) => {
    if (index > 0) problems.push({ path: ['sources', index, 'embedded'], text: 'is the second; allowed: one with embedded: true' })
    source.topics.forEach((topic, t) => {
      const parts = partsOf(topic)
      const missing = partsOf(source.device).filter((part) => !parts.includes(part))
      const path = ['sources', index, 'topics', t]
      if (missing.length > 0) problems.push({ path, text: `is "${topic}", which lacks {${missing[0]}} of device: "${source.device}"` })
      if (new Set(parts).size < parts.length) problems.push({ path, text: `is "${topic}"; allowed: each {name} once` })
    })
  })
  return problems
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
    for (const [metric, { above, below }] of Object.entries(settings.metrics)) {
      if (above === null || below === null || below < above) continue
      const text = `has below ${below} and above ${above}; allowed: below less than above`
      problems.push({ path: ['classes', name, 'metrics', metric], text })
    }
  }
  return problems
}

function repeated(key: string, names: readonly string[], inner?: string): CrossProblem[] {
  return names.flatMap((name, index) => {
    if (names.indexOf(name) === index) return []
    return [{ path: [key, index, ...(inner ? [inner] : [])], text: `is "${name}" again; allowed: each once` }]
  })
}

function splitRoles(roles: readonly string[]): CrossProblem[] {
  if (ROLES.every((role) => roles.includes(role))) return []
  return [{ path: ['roles'], text: `are ${roles.join(', ')}; roles need log.kafka, which is not in this version: leave it out` }]
}
