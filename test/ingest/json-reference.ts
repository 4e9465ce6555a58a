/** The plain reference of the JSON codec: what a payload means, by JSON.parse and the words of docs/mqtt.md, in the most obvious way. */
import { hashText } from '../../src/core/hash.ts'
import type { Prng } from '../../src/fleet/prng.ts'
import { LIMITS, PLAN } from './lab.ts'

type Leaf = readonly [name: string, value: unknown]

/** Each sample as {time, metrics: {name: [kind, value]}}; null: to be refused. Knows ms and s as numbers, no text, as time. */
export function referenceOf(text: string): readonly { time: number | null; metrics: Record<string, readonly [number, number]> }[] | null {
  try {
    const root: unknown = JSON.parse(text)
    if (Array.isArray(root) && (root.length === 0 || root.length > LIMITS.samples)) return null
    return (Array.isArray(root) ? root : [root]).map(sampleOf)
  } catch {
    return null
  }
}

function sampleOf(root: unknown) {
  if (!isObject(root)) throw new Error('no sample')
  const timeField = PLAN.timeFields.find((name) => Object.hasOwn(root, name))
  const own = Object.entries(root).filter(([key]) => key !== timeField)
  const others = leavesOf(own.filter(([key, value]) => !(key === 'values' && isObject(value))), '', 1)
  const values = own.find(([key, value]) => key === 'values' && isObject(value))?.[1] as object | undefined
  const inner = values === undefined ? [] : leavesOf(Object.entries(values), others.length > 0 ? 'values.' : '', others.length > 0 ? 2 : 1)
  const leaves = [...others, ...inner]
  if (leaves.length > LIMITS.fields || new Set(leaves.map(([name]) => name)).size < leaves.length) throw new Error('too many, or one twice')
  return { time: timeField === undefined ? null : timeOf((root as Record<string, unknown>)[timeField]), metrics: Object.fromEntries(leaves.map(([name, value]) => [name, reading(value)])) }
}

function leavesOf(entries: readonly Leaf[], prefix: string, depth: number): readonly Leaf[] {
  return entries.flatMap(([key, value]): readonly Leaf[] => {
    if (!isFit(key) || depth > LIMITS.nesting) throw new Error('unfit name, or too deep')
    if (isObject(value)) {
      if (depth === LIMITS.nesting) throw new Error('too deep')
      return leavesOf(Object.entries(value), `${prefix}${key}.`, depth + 1)
    }
    const leaves: Leaf[] = Array.isArray(value) ? value.map((one, i) => [`${prefix}${key}.${i}`, one]) : [[`${prefix}${key}`, value]]
    if (leaves.some(([name, one]) => !isFit(name) || (typeof one === 'object' && one !== null))) throw new Error('unfit name, or a list of lists')
    return leaves
  })
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isFit(name: string): boolean {
  return name !== '' && name !== '__proto__' && name.length <= LIMITS.nameLength && !/[\u0000-\u001f\u007f-\u009f\ufffd]/.test(name) && !/\p{Cs}/u.test(name)
}

function timeOf(claimed: unknown): number | null {
  if (claimed === null) return null
  if (typeof claimed !== 'number' || !(Math.abs(claimed) <= 8.64e15)) throw new Error('no time')
  return claimed >= 1e9 && claimed < 1e10 ? 1000 * claimed : claimed
}

function reading(value: unknown): readonly [number, number] {
  if (typeof value === 'string') return [2, hashText(value)]
  if (value === null) return [3, 0]
  if (typeof value === 'boolean') return [1, Number(value)]
  if (!Number.isFinite(value)) throw new Error('not finite')
  return [0, Number(value) + 0]
}

const KEYS = ['a', 'b', 'c', 'a.b', '0', 'values', 'value', 'time', 'constructor', 'é', 'x'.repeat(30)]
const BAD_KEYS = ['', '__proto__', 'n\u0000', 'l\ud800', 'y'.repeat(65)]
const NUMBERS = ['0', '-0', '1', '-2.5', '1e3', '1700000000', '1700000000123', '1e308', '5e-324']

/** A payload as text, mostly one that is read; equal keys may meet, and so may names joined by dots. */
export function drawPayload(random: Prng): string {
  if (!random.chance(0.2)) return drawSample(random)
  return `[${Array.from({ length: random.whole(0, random.chance(0.02) ? LIMITS.samples + 1 : 3) }, () => drawSample(random)).join()}]`
}

function drawSample(random: Prng): string {
  if (random.chance(0.01)) return drawLeaf(random)
  const time = random.chance(0.4) ? [`"${random.pick(PLAN.timeFields)}":${random.chance(0.9) ? random.pick([...NUMBERS, 'null']) : drawLeaf(random)}`] : []
  if (random.chance(0.2)) return `{${[...time, `"values":${drawObject(random, 1)}`].join()}}`
  return `{${[...time, ...drawEntries(random, 1)].join()}}`
}

function drawObject(random: Prng, depth: number): string {
  return `{${drawEntries(random, depth).join()}}`
}

function drawEntries(random: Prng, depth: number): string[] {
  return Array.from({ length: random.whole(0, 4) }, () => `${JSON.stringify(random.chance(0.005) ? random.pick(BAD_KEYS) : random.pick(KEYS))}:${drawValue(random, depth)}`)
}

function drawValue(random: Prng, depth: number): string {
  if (depth < 6 && random.chance(0.15)) return drawObject(random, depth + 1)
  if (!random.chance(0.05)) return drawLeaf(random)
  return `[${Array.from({ length: random.whole(0, 3) }, () => (random.chance(0.05) ? drawValue(random, depth + 1) : drawLeaf(random))).join()}]`
}

function drawLeaf(random: Prng): string {
  if (random.chance(0.7)) return random.pick(NUMBERS)
  return random.pick(['true', 'false', 'null', '""', '"open"', '"1.5"', '"\\u0000\\ud800"', random.chance(0.05) ? '1e999' : '2'])
}
