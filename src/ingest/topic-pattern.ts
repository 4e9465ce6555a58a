/** Topic patterns like `telemetry/{class}/{device}/{metric}`: which rule a topic falls under, and what it says of device and metric. */
import { PICKET_LEVEL } from '../core/device-topic.ts'
import { PipelineError } from '../core/errors.ts'
import { levelsOf, ruleOf, TIME_FIELDS, topicProblems } from '../core/topic-rule.ts'
import type { PatternLevel, TopicEntry, TopicRule } from '../core/topic-rule.ts'
import type { PayloadPlan } from './codecs/payload-plan.ts'
import { Naming } from './naming.ts'
import type { Named, Properties } from './naming.ts'
import { checkName, quoted, Refusal } from './refusal.ts'

export interface TopicPattern {
  /** What to subscribe to: `telemetry/+/+`. */
  readonly filter: string
  /** The part that takes one or more levels; null where there is none. */
  readonly tail: string | null
  /** The named parts as they stand in the topic, unchecked, that of the tail with its slashes; null when the topic has another form. */
  match(topic: string): ReadonlyMap<string, string> | null
}

/** What a topic says. */
export interface TopicMeaning {
  /** null: the payload or a user property names it. */
  readonly device: string | null
  /** null: the payload names its metrics. */
  readonly metric: string | null
  readonly plan: PayloadPlan
  /** Whether `nameOf` may differ between messages of this topic. */
  readonly isByMessage: boolean
  /** `said`: what the payload says in `plan.nameFields`. Throws a Refusal. */
  nameOf(said: readonly string[], properties?: Properties): Named
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
  readonly patterns: readonly TopicEntry[]
  /** What a device is called where its topic's rule doesn't say: text with parts, `{site}/{device}`. Default `{device}`. */
  readonly device?: string
  /** Longest device, label or metric name. */
  readonly nameLength: number
}

/** Throws BAD_CONFIG naming the pattern and what is allowed. */
export function compilePattern(text: string): TopicPattern {
  const levels = levelsOf(text)
  checkPattern(text, levels)
  const tail = levels.at(-1)?.kind === 'tail' ? levels.at(-1)!.text : null
  const filter = levels.map(({ kind, text: level }) => (kind === 'text' ? level : '+')).join('/')
  return {
    filter: tail === null ? filter : `${filter}/#`,
    tail,
    match(topic) {
      const found = topic.split('/')
      if (tail === null ? found.length !== levels.length : found.length < levels.length) return null
      const values = new Map<string, string>()
      for (let i = 0; i < levels.length; i++) {
        const level = levels[i]!
        if (level.kind === 'tail') values.set(level.text, found.slice(i).join('/'))
        else if (level.kind === 'part') values.set(level.text, found[i]!)
        else if (found[i] !== level.text) return null
      }
      return values
    },
  }
}

function checkPattern(text: string, levels: readonly PatternLevel[]): void {
  const bad = (what: string) => new PipelineError('BAD_CONFIG', `topic pattern ${quoted(text)}: ${what}`)
  levels.forEach(({ kind, text: level }, i) => {
    if (kind === 'tail' && i < levels.length - 1) throw bad(`{${level}+} takes all levels that are left, so it must be the last`)
    if (kind !== 'text') return
    if (level === '') throw bad('has an empty level')
    if (/[{}]/.test(level)) throw bad(`level ${quoted(level)} must be plain text or one part such as {class} (a-z, 0-9, _)`)
    if (/[+#\0]/.test(level)) throw bad(`level ${quoted(level)} holds +, # or NUL; a part such as {class} stands for any one level`)
  })
  const parts = levels.flatMap(({ kind, text: part }) => (kind === 'text' ? [] : [part]))
  if (new Set(parts).size !== parts.length) throw bad('names a part twice')
  if (levels[0]?.text === PICKET_LEVEL || text.startsWith('$'))
    throw bad(`topics under ${PICKET_LEVEL}/ and $ are not the devices' to publish telemetry under`)
}

/** Throws BAD_CONFIG for no or bad patterns, one that never has its turn, or a template whose parts its pattern lacks. */
export function compilePatterns(options: TopicPatternOptions): TopicPatterns {
  const { patterns, device = '{device}', nameLength } = options
  if (patterns.length === 0)
    throw new PipelineError('BAD_CONFIG', 'a source needs at least one topic pattern such as telemetry/{class}/{device}')
  const topics = patterns.map((entry) => compileTopic(ruleOf(entry), device, nameLength))
  const [problem] = topicProblems(patterns, device)
  if (problem) throw new PipelineError('BAD_CONFIG', `topic ${problem.topic + 1}: ${problem.key} ${problem.text}`)
  return {
    filters: [...new Set(topics.map(({ pattern }) => pattern.filter))],
    meaning(topic) {
      for (const one of topics) {
        const values = one.pattern.match(topic)
        if (values) return meaningOf(values, one, nameLength)
      }
      return null
    },
  }
}

interface CompiledTopic {
  readonly pattern: TopicPattern
  readonly naming: Naming
  readonly plan: PayloadPlan
}

function compileTopic(rule: TopicRule, device: string, nameLength: number): CompiledTopic {
  const naming = new Naming({ device: rule.device ?? device, class: rule.class ?? null }, nameLength)
  const plan: PayloadPlan = {
    codec: rule.codec ?? 'auto',
    timeFields: rule.time?.fields ?? TIME_FIELDS,
    timeUnit: rule.time?.unit ?? 'auto',
    timeProperty: rule.time?.property,
    nameFields: naming.fields,
  }
  return { pattern: compilePattern(rule.pattern), naming, plan }
}

function meaningOf(values: ReadonlyMap<string, string>, { pattern, naming, plan }: CompiledTopic, longest: number): TopicMeaning {
  for (const [part, value] of values) checkPart(part, value, longest)
  const metric = values.get('metric') ?? null
  return {
    device: naming.isByTopic ? naming.deviceByTopic(values) : null,
    metric: metric !== null && pattern.tail === 'metric' ? dotted(metric) : metric,
    plan,
    isByMessage: naming.isByMessage,
    nameOf: (said, properties) => naming.nameOf(values, said, properties),
  }
}

/** As nested fields of a payload are named. A dot within a level would make one metric of two topics. */
function dotted(tail: string): string {
  if (tail.includes('.')) throw new Refusal('name', `topic part {metric+} ${quoted(tail)} holds a dot, which is what joins its levels`)
  return tail.replaceAll('/', '.')
}

/** Brokers let no `+` or `#` into a topic; a source that is not one might. */
function checkPart(part: string, value: string, longest: number): void {
  checkName(`topic part {${part}}`, value, longest)
  if (/[+#]/.test(value)) throw new Refusal('name', `topic part {${part}} ${quoted(value)} holds + or #, which MQTT keeps for filters`)
  if (value.includes('/') && value.split('/').includes(''))
    throw new Refusal('name', `topic part {${part}} ${quoted(value)} has an empty level`)
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
