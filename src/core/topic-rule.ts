/** How a user says what the topics of a source mean: a pattern, and how the payloads under it are read and their devices named. */

/** `auto`: by its first character a number, else JSON. */
export const CODECS = ['auto', 'json', 'number', 'text'] as const
export type Codec = (typeof CODECS)[number]

/** Codecs, and what `text/plain` stands for: by its first character a number, else text. */
export type ReadAs = Codec | 'plain'

/** How a payload is read whose topic says `own` and whose message bears an MQTT 5 content type; one that says nothing of it leaves the topic's. */
export function readAs(contentType: string, own: Codec): ReadAs {
  const type = contentType.split(';', 1)[0]!.trim().toLowerCase()
  if (type === 'application/json' || type === 'text/json' || type.endsWith('+json')) return own === 'json' ? 'json' : 'auto'
  if (type === 'text/plain') return own === 'number' || own === 'text' ? own : 'plain'
  return own
}

/** `auto`: ISO 8601 where it is text; of a number, its digits decide. */
export const TIME_UNITS = ['auto', 'ms', 's', 'us', 'iso'] as const
export type TimeUnit = (typeof TIME_UNITS)[number]

/** Names under which devices commonly send their event time; the first that a sample has is it. */
export const TIME_FIELDS = ['ts', 'timestamp', 'time'] as const

export interface TopicRule {
  /** `telemetry/{class}/{device}`; a last level `{metric+}` takes one or more levels. */
  readonly pattern: string
  /** Left out: auto. */
  readonly codec?: Codec | undefined
  /** Left out: `TIME_FIELDS`, unit auto. Dotted names reach into nested objects. With a user property of MQTT 5 there are no fields. */
  readonly time?: { readonly fields: readonly string[]; readonly unit: TimeUnit; readonly property?: string | undefined } | undefined
  /** Template of the device's name; left out: the source's. */
  readonly device?: string | undefined
  /** Template of the class; left out: the topic's part {class}, where it has one. */
  readonly class?: string | undefined
}

/** As a user may write it: the pattern alone, all else as usual. */
export type TopicEntry = string | TopicRule

export function ruleOf(entry: TopicEntry): TopicRule {
  return typeof entry === 'string' ? { pattern: entry } : entry
}

/** What one level of a pattern stands for: itself, any one level, or, as the last, any one or more. */
export interface PatternLevel {
  readonly kind: 'text' | 'part' | 'tail'
  /** The text, or the part's name. */
  readonly text: string
}

const PART = /^\{([a-z][a-z0-9_]{0,31})(\+?)\}$/

export function levelsOf(pattern: string): readonly PatternLevel[] {
  return pattern.split('/').map((level) => {
    const [, name, plus] = PART.exec(level) ?? []
    return name === undefined ? { kind: 'text', text: level } : { kind: plus ? 'tail' : 'part', text: name }
  })
}

export function partsOf(pattern: string): readonly string[] {
  return levelsOf(pattern).flatMap(({ kind, text }) => (kind === 'text' ? [] : [text]))
}

export interface TemplatePiece {
  /** Itself, a part of the topic, a field of the payload, or a user property of the message (MQTT 5). */
  readonly kind: 'text' | 'part' | 'field' | 'property'
  readonly text: string
}

const PIECE = /\{([a-z][a-z0-9_]{0,31})\}|\{(payload|property)\.([^{}]+)\}|([^{}]+|.)/gsu

/** The pieces of a template such as `{site}/{payload.meter.id}` or `{property.device}`; a brace that begins none of them is text. */
export function templatePieces(template: string): readonly TemplatePiece[] {
  return [...template.matchAll(PIECE)].map(([, part, of, name, text]) => {
    if (part !== undefined) return { kind: 'part', text: part }
    return of === undefined ? { kind: 'text', text: text! } : { kind: of === 'payload' ? 'field' : 'property', text: name! }
  })
}

/** User properties that the topics and the source's template `device` need, each once: only MQTT 5 has them. */
export function propertiesOf(entries: readonly TopicEntry[], device: string): readonly string[] {
  const named = entries.map(ruleOf).flatMap((rule) => {
    const pieces = [rule.device ?? device, rule.class ?? ''].flatMap(templatePieces)
    const inNames = pieces.flatMap(({ kind, text }) => (kind === 'property' ? [text] : []))
    return rule.time?.property === undefined ? inNames : [...inNames, rule.time.property]
  })
  return [...new Set(named)]
}

export interface TopicProblem {
  /** Which of the source's topics. */
  readonly topic: number
  readonly key: 'pattern' | 'codec' | 'time' | 'device' | 'class'
  /** What is wrong with the value there, and what is allowed. */
  readonly text: string
}

/** What is wrong with the topics of a source whose devices are named by the template `device`; each pattern must be well formed. */
export function topicProblems(entries: readonly TopicEntry[], device: string): readonly TopicProblem[] {
  const rules = entries.map(ruleOf)
  const patterns = rules.map(({ pattern }) => pattern)
  return rules.flatMap((rule, topic) => {
    const texts = [...patternProblems(patterns, topic), ...templateProblems(rule, device), ...codecProblems(rule, device)]
    return texts.map(([key, text]) => ({ topic, key, text }))
  })
}

type KeyedText = readonly [TopicProblem['key'], string]

function patternProblems(patterns: readonly string[], index: number): KeyedText[] {
  const pattern = patterns[index]!
  const parts = partsOf(pattern)
  if (new Set(parts).size < parts.length) return [['pattern', `is "${pattern}"; allowed: each {name} once`]]
  const shadows = shadowsOf(patterns, index)
  if (shadows.length === 0) return []
  const why = `${shadows.join(' and ')} before it takes all its topics; put it first or leave it out`
  return [['pattern', `is "${pattern}", which never has its turn: ${why}`]]
}

function templateProblems(rule: TopicRule, sourceDevice: string): KeyedText[] {
  const parts = partsOf(rule.pattern)
  const problems: KeyedText[] = []
  for (const [key, template] of [['device', rule.device ?? sourceDevice], ['class', rule.class ?? '']] as const) {
    const missing = templatePieces(template).find(({ kind, text }) => kind === 'part' && !parts.includes(text))
    if (missing) problems.push(['pattern', `is "${rule.pattern}", which lacks {${missing.text}} of ${key}: "${template}"`])
  }
  if (rule.class !== undefined && parts.includes('class'))
    problems.push(['class', `is "${rule.class}", but ${rule.pattern} says {class} too; allowed: one of them`])
  return problems
}

function codecProblems(rule: TopicRule, sourceDevice: string): KeyedText[] {
  if (rule.codec !== 'number' && rule.codec !== 'text') return []
  const template = [rule.device ?? sourceDevice, rule.class ?? ''].find((one) => templatePieces(one).some(({ kind }) => kind === 'field'))
  const problems: KeyedText[] = []
  if (template !== undefined)
    problems.push(['codec', `is ${rule.codec}, whose payloads have no fields as "${template}" needs; allowed: json, auto`])
  if (rule.time !== undefined && rule.time.property === undefined)
    problems.push(['time', `is given, but payloads of codec ${rule.codec} have no fields; allowed: leave it out`])
  return problems
}

/**
 * The earlier patterns that take every topic of `patterns[index]`, so that it never has its turn; empty when a topic is left to it.
 * Each pattern must be well formed, its tail last.
 */
function shadowsOf(patterns: readonly string[], index: number): readonly string[] {
  const own = levelsOf(patterns[index]!)
  const earlier = patterns.slice(0, index).map((text) => ({ text, levels: levelsOf(text) }))
  // One level more than any of them has is as good as any number: only those with a tail reach so far, and they reach all of it.
  const longest = own.at(-1)?.kind === 'tail' ? Math.max(own.length, ...earlier.map(({ levels }) => levels.length + 1)) : own.length
  const shadows = new Set<string>()
  for (let length = own.length; length <= longest; length++) {
    // Some topic has names nobody wrote down in all its parts: who takes that one takes all, so one pattern must do it alone.
    const shadow = earlier.find(({ levels }) => takesAll(levels, own, length))
    if (!shadow) return []
    shadows.add(shadow.text)
  }
  return [...shadows]
}

/** Whether `wide` takes each topic of `length` levels that `narrow` takes. */
function takesAll(wide: readonly PatternLevel[], narrow: readonly PatternLevel[], length: number): boolean {
  const hasTail = wide.at(-1)?.kind === 'tail'
  if (hasTail ? length < wide.length : length !== wide.length) return false
  return wide.every((level, i) => {
    const inner = narrow[Math.min(i, narrow.length - 1)]!
    return level.kind !== 'text' || (inner.kind === 'text' && inner.text === level.text)
  })
}
