/** Topic patterns, templates and the credentials file under a hundred thousand inputs each: taken, or refused by the one error that is named. */
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/core/errors.ts'
import { topicProblems } from '../../src/core/topic-rule.ts'
import { parseCredentials } from '../../src/ingest/credentials.ts'
import { Naming } from '../../src/ingest/naming.ts'
import { Refusal } from '../../src/ingest/refusal.ts'
import { compilePatterns, filterMatches } from '../../src/ingest/topic-pattern.ts'
import { forAll, INPUTS, readOrNamed } from './fuzzing.ts'
import { mutations } from './mutations.ts'

const isRefusal = (error: unknown) => error instanceof Refusal && error.message.length < 600
const isBadConfig = (error: unknown) => error instanceof PipelineError && error.code === 'BAD_CONFIG'

describe('topic patterns', () => {
  const bases = ['telemetry/{class}/{device}', 'telemetry/{class}/{device}/{metric+}', '{device}', 'a/{site}/{device}/x']

  it('are taken or refused as config, also where templates are nearly right', () => {
    forAll(100, (random) => {
      for (const pattern of mutations(random.pick(bases), random, INPUTS)) {
        const [device] = mutations('{device}{payload.a.b}/{site}', random, 1)
        const patterns = [pattern, { pattern: random.pick(bases), device: device!, class: random.pick(['pump', '{site}', '{payload.type}']) }]
        readOrNamed(patterns, isBadConfig, () => compilePatterns({ patterns, nameLength: 64 }))
      }
    })
  })

  it('read any topic or refuse its names, and only topics their filters take', () => {
    const patterns = compilePatterns({ patterns: ['telemetry/{class}/{device}', 'telemetry/{class}/{device}/{metric+}', 'a/{device+}'], nameLength: 64 })
    forAll(100, (random) => {
      for (const topic of mutations(random.pick(['telemetry/pump/p-7', 'telemetry/pump/p-7/motor/rpm', 'a/hall-2/p-7']), random, INPUTS)) {
        const meaning = readOrNamed(topic, isRefusal, () => patterns.meaning(topic)?.nameOf([]) ?? null)
        if (meaning !== null && !patterns.filters.some((filter) => filterMatches(filter, topic))) throw new Error(`${JSON.stringify(topic)} is read, but not subscribed to`)
      }
    })
  })

  it('never give two topics the same metric of the same device', () => {
    const patterns = compilePatterns({ patterns: ['{device}/{metric+}'], nameLength: 64 })
    const levels = ['a', 'b', 'a.b', '.', 'a.', '0']
    const topics = new Map<string, string>()
    forAll(100, (random) => {
      for (let i = 0; i < INPUTS; i++) {
        const topic = Array.from({ length: random.whole(2, 4) }, () => random.pick(levels)).join('/')
        const meaning = readOrNamed(topic, isRefusal, () => patterns.meaning(topic))
        if (meaning === null) continue
        const key = JSON.stringify([meaning.device, meaning.metric])
        if ((topics.get(key) ?? topic) !== topic) expect([key, topic]).toEqual([key, topics.get(key)])
        topics.set(key, topic)
      }
    })
    expect(topics.size).toBeGreaterThan(50)
  })

  it('that never have their turn are found, and no others', () => {
    const levels = ['a', 'b', '{x}', '{y}']
    forAll(50, (random) => {
      for (let i = 0; i < INPUTS / 10; i++) {
        const draw = () => [...Array.from({ length: random.whole(0, 2) }, (_, at) => random.pick(levels).replace('}', `${at}}`)), random.pick(['a', '{z}', '{z+}'])].join('/')
        const patterns = Array.from({ length: random.whole(2, 4) }, draw)
        const own = patterns.at(-1)!
        const reached = everyTopic.some((topic) => fits(own, topic) && !patterns.slice(0, -1).some((earlier) => fits(earlier, topic)))
        const isFound = topicProblems(patterns, 'd').some(({ topic, text }) => topic === patterns.length - 1 && text.includes('never has its turn'))
        if (reached === isFound) throw new Error(`${JSON.stringify(patterns)}: reached ${reached}, found ${isFound}`)
      }
    })
  })
})

/** Up to five levels, of what patterns name and what none does. */
const everyTopic = [1, 2, 3, 4, 5].flatMap((length) => combinations(['a', 'b', '?'], length)).map((levels) => levels.join('/'))

function combinations(of: readonly string[], length: number): string[][] {
  return length === 0 ? [[]] : combinations(of, length - 1).flatMap((head) => of.map((one) => [...head, one]))
}

function fits(pattern: string, topic: string): boolean {
  const filter = pattern.replace(/\{\w+\+\}$/, '+/#').replace(/\{\w+\}/g, '+')
  return filterMatches(filter, topic)
}

describe('a device template', () => {
  it('gives a fit name, or refuses what it is given', () => {
    const parts = new Map([['site', 'leeds'], ['device', 'p-7']])
    forAll(100, (random) => {
      for (const template of mutations('{site}/{payload.meter.id}-{device}', random, INPUTS)) {
        const naming = readOrNamed(template, isBadConfig, () => new Naming({ device: template, class: '{payload.type}' }, 64))
        const [said] = mutations('m-1', random, 1)
        const named = naming && readOrNamed([template, said], isRefusal, () => naming.nameOf(parts, naming.fields.map(() => said!)))
        if (named && !(named.device.length >= 1 && named.device.length <= 64 && !/\p{Cs}/u.test(named.device))) throw new Error(JSON.stringify([template, named]))
      }
    })
  })
})

describe('a credentials file', () => {
  it('is read, or refused with its line', () => {
    const hash = Buffer.alloc(64, 7).toString('base64')
    const base = `# devices\npump-7:$7$101$c2FsdA==$${hash}\ngateway-1:$7$101$c2FsdA==$${hash}:pump-*,leeds/*/v?,*a*a*a*a*b\n`
    forAll(100, (random) => {
      for (const text of mutations(base, random, INPUTS)) {
        readOrNamed(text, (error) => isBadConfig(error) && /line \d+: |names no user/.test((error as Error).message), () => parseCredentials(text, 'passwords'))
      }
    })
  })
})
