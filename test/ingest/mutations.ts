/** Cheap variants of a valid input, so that a parser meets a hundred thousand of them within a second. */
import type { Prng } from '../../src/fleet/prng.ts'

/** What parsers stumble over: syntax of ours and JSON's, control characters, lone surrogates, other scripts' digits, names with a meaning. */
const BITS = [
  '', '{', '}', '[', ']', '"', '\\', ':', ',', '.', '/', '+', '#', '$', '*', '-', '0', '9', 'e', 'T', 'Z', ' ', '\n', '\0', '\u001b', '\u0085', '\u2028', '\ufeff', '\ufffd',
  '\ud800', '𝒳', '٣', 'é', '{}', '[]', '""', 'null', 'true', '1e999', '-0', '__proto__', 'constructor', 'ts', 'values', 'value', 'payload.', '{device}', '{metric+}', '$7$',
]

/** Each with up to four cuts, insertions, repetitions and swaps of its own. */
export function* mutations(base: string, random: Prng, count: number): Generator<string> {
  for (let i = 0; i < count; i++) {
    let text = base
    for (let changes = random.whole(1, 4); changes > 0; changes--) text = changed(text, random)
    yield text
  }
}

function changed(text: string, random: Prng): string {
  const [from, to] = [random.whole(0, text.length), random.whole(0, text.length)].toSorted((a, b) => a - b) as [number, number]
  switch (random.whole(0, 4)) {
    case 0:
      return text.slice(0, from) + random.pick(BITS) + text.slice(from)
    case 1:
      return text.slice(0, from) + random.pick(BITS) + text.slice(from + 1)
    case 2:
      return text.slice(0, from) + text.slice(Math.min(to, from + 8))
    case 3:
      return text.length > 4096 ? text.slice(0, to) : text.slice(0, to) + text.slice(from)
    default:
      return text.slice(0, from) + String.fromCharCode(random.whole(0, 255)) + text.slice(from + 1)
  }
}
