/** The promise of detect: same records, same rows, same incidents, bit for bit, however they were cut into slices and wherever it crashed. */
import { describe, expect, it } from 'vitest'
import { differences } from '../rows.ts'
import { type Outcome, run } from './runner.ts'
import { seeded } from './seeded.ts'
import { makeStory } from './story.ts'

const SEEDS = Array.from({ length: 10 }, (_, i) => i + 1)

function expectEqual(outcome: Outcome, expected: Outcome): void {
  expect(differences(outcome.rows, expected.rows)).toEqual([])
  expect(outcome.revisions).toEqual(expected.revisions)
}

describe.each(SEEDS)('the story of seed %i', (seed) => {
  const story = makeStory(seed)
  const whole = run(story.entries)

  it('holds every kind of incident that there is something to compare', async () => {
    const { revisions } = await whole
    expect(revisions.length).toBeGreaterThan(20)
  })

  it('comes to the same in slices of one record', async () => {
    expectEqual(await run(story.entries, { slices: () => 1 }), await whole)
  })

  it('comes to the same in slices cut at random', async () => {
    const random = seeded(seed)
    expectEqual(await run(story.entries, { slices: () => random.whole(1, 60) }), await whole)
  })

  it('comes to the same when the process crashes again and again', async () => {
    const random = seeded(seed)
    const latency = () => (random.onceIn(3) ? random.whole(1, 30) : 0)
    const outcome = await run(story.entries, {
      slices: () => random.whole(1, 40),
      faults: { latency, survivors: (groups) => random.whole(0, groups) },
      crashAt: () => random.onceIn(30),
    })
    expect(outcome.takeovers).toBeGreaterThan(3)
    expectEqual(outcome, await whole)
  })

  it('comes to the same without its exact repeats, but for places', async () => {
    const without = await run(story.withoutRepeats)
    expect(differences(placeless(without), placeless(await whole))).toEqual([])
    expect(without.revisions.map(({ incident }) => ({ ...incident, id: '' }))).toEqual(
      (await whole).revisions.map(({ incident }) => ({ ...incident, id: '' })),
    )
  })
})

/** Rows of open incidents bear their id in name and body; the id comes from the place that opened them. The task's row knows where its config stands. */
function placeless({ rows, revisions }: Outcome): Map<string, string> {
  const ids = revisions.filter(({ incident }) => incident.revision === 1).map(({ incident }) => incident.id)
  return new Map([...rows].map(([name, text]) => [replaced(name, ids), replaced(text, ids)]))
}

function replaced(text: string, ids: readonly string[]): string {
  return text.replace(/"offset":\d+/, '').replace(/[0-9a-f]{24}/g, (found) => (ids.includes(found) ? `incident ${ids.indexOf(found)}` : found))
}
