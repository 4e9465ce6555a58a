/** Topic patterns like `telemetry/{class}/{device}/{metric}`: which device and metric a topic speaks of, and its labels. */
import { PipelineError } from '../core/errors.ts'
import { PICKET_LEVEL } from '../core/device-topic.ts'
import { checkName, quoted, Refusal } from './refusal.ts'

export interface TopicPattern {
  readonly text: string
  /** Names of the parts, in topic order. */
  readonly parts: readonly string[]
  /** What to subscribe to: `telemetry/+/+`. */
  readonly filter: string
  /** The named parts as they stand in the topic, unchecked; null when the topic has another form. */
  match(topic: string): ReadonlyMap<string, string> | null
}

/** What a topic says. */
export interface TopicMeaning {
  readonly device: string
  /** All named parts but `device` and `metric`. */
  readonly labels: Readonly<Record<string, string>>
  /** null: the payload names its metrics. */
  readonly metric: string | null
}

export interface TopicPatterns {
  /** What to subscribe to, each once. */
  readonly filters: readonly string[]
  /**
   * By the first pattern that fits; null when none does.
   * Throws a Refusal for a topic of a pattern's form with an empty or unfit part.
   */
  meaning(topic: string): TopicMeaning | null
}

export interface TopicPatternOptions {
  /** In the order they are tried. */
  readonly patterns: readonly string[]
  /** What a device is called: text with parts of the patterns, `{site}/{device}`. Default `{device}`. */
  readonly device?: string
  /** Longest device, label or metric name. */
  readonly nameLength: number
}

const PART = /^\{([a-z][a-z0-9_]{0,31})\}$/
const PART_INSIDE = /\{([^{}]*)\}/g

/** Throws BAD_CONFIG naming the pattern and what is allowed. */
export function compilePattern(text: string): TopicPattern {
  const bad = (what: string) => new PipelineError('BAD_CONFIG', `topic pattern ${quoted(text)}: ${what}`)
  const levels = text.split('/')
  const names = levels.map((level) => PART.exec(level)?.[1] ?? null)
  levels.forEach((level, i) => {
    if (level === '') throw bad('has an empty level')
    if (names[i] === null && /[{}]/.test(level))
      throw bad(`level ${quoted(level)} must be plain text or one part such as {class} (a-z, 0-9, _)`)
    if (/[+#\0]/.test(level)) throw bad(`level ${quoted(level)} holds +, # or NUL; a part such as {class} stands for any one level`)
  })
  const parts = names.filter((name) => name !== null)
  if (new Set(parts).size !== parts.length) throw bad('names a part twice')
  if (levels[0] === PICKET_LEVEL || text.startsWith('$'))
    throw bad(`topics under ${PICKET_LEVEL}/ and $ are not the devices' to publish telemetry under`)
  return {
    text,
    parts,
    filter: levels.map((level, i) => (names[i] === null ? level : '+')).join('/'),
    match(topic) {
      const found = topic.split('/')
      if (found.length !== levels.length) return null
      const values = new Map<string, string>()
      for (let i = 0; i < levels.length; i++) {
        const name = names[i]
        if (name) values.set(name, found[i]!)
        else if (found[i] !== levels[i]) return null
      }
      return values
    },
  }
}

/** Throws BAD_CONFIG for no or bad patterns, or a device template whose parts are not in every pattern. */
export function compilePatterns(options: TopicPatternOptions): TopicPatterns {
  const template = options.device ?? '{device}'
  const deviceParts = [...template.matchAll(PART_INSIDE)].map((match) => match[1]!)
  if (deviceParts.length === 0) throw new PipelineError('BAD_CONFIG', `device template ${quoted(template)} has no part such as {device}`)
  if (options.patterns.length === 0)
    throw new PipelineError('BAD_CONFIG', 'a source needs at least one topic pattern such as telemetry/{class}/{device}')
  const patterns = options.patterns.map(compilePattern)
  for (const { text, parts } of patterns) {
    const missing = deviceParts.find((part) => !parts.includes(part))
    if (missing === undefined) continue
    throw new PipelineError('BAD_CONFIG', `topic pattern ${quoted(text)} lacks {${missing}}, needed by the device template ${quoted(template)}`)
  }
  return {
    filters: [...new Set(patterns.map((pattern) => pattern.filter))],
    meaning(topic) {
      for (const pattern of patterns) {
        const values = pattern.match(topic)
        if (values) return meaningOf(values, template, options.nameLength)
      }
      return null
    },
  }
}

function meaningOf(values: ReadonlyMap<string, string>, template: string, longest: number): TopicMeaning {
  for (const [part, value] of values) checkLevel(part, value, longest)
  const device = template.replace(PART_INSIDE, (_whole, part: string) => values.get(part) ?? '')
  checkName('device', device, longest)
  const labels: Record<string, string> = {}
  for (const [part, value] of values) if (part !== 'device' && part !== 'metric') labels[part] = value
  return { device, labels, metric: values.get('metric') ?? null }
}

/** Brokers let no `+` or `#` into a topic; a source that is not one might. */
function checkLevel(part: string, value: string, longest: number): void {
  checkName(`topic part {${part}}`, value, longest)
  if (/[+#]/.test(value)) throw new Refusal('name', `topic part {${part}} ${quoted(value)} holds + or #, which MQTT keeps for filters`)
}

/** Whether an MQTT filter (with `+` and `#`) takes in a topic. Wildcards in the first level don't match `$` topics (MQTT 3.1.1, 4.7.2). */
export function filterMatches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true
    if (i >= levels.length || (wanted[i] !== '+' && wanted[i] !== levels[i])) return false
  }
  return wanted.length === levels.length
}
