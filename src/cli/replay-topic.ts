/** Which MQTT topic a replayed device publishes under: the first pattern of the config that takes JSON objects, filled in. */
import { PipelineError } from '../core/errors.ts'

export interface TopicParts {
  readonly class: string
  readonly device: string
  /** Further named parts, such as `site`. */
  readonly parts: Readonly<Record<string, string>>
}

/** Throws BAD_CONFIG: no such pattern, a part without a value, or a value that is no topic level. */
export function replayTopic(patterns: readonly string[], values: TopicParts): string {
  const pattern = patterns.find((one) => !/\{metric\+?\}/.test(one))
  if (pattern === undefined) throw new PipelineError('BAD_CONFIG', `no topic pattern without {metric} in the first source, but ${patterns.join(', ')}; a row goes out as one JSON object`)
  const known: Readonly<Record<string, string>> = { ...values.parts, class: values.class, device: values.device }
  return pattern.replace(/\{([^{}]*)\}/g, (_whole, part: string) => {
    const value = Object.hasOwn(known, part) ? known[part] : undefined
    if (value === undefined) throw new PipelineError('BAD_CONFIG', `topic pattern ${pattern} has {${part}}; give --part ${part}=VALUE`)
    if (value === '' || /[/+#\0]/.test(value)) throw new PipelineError('BAD_CONFIG', `{${part}} is '${value}', expected one topic level without / + # and NUL`)
    return value
  })
}
