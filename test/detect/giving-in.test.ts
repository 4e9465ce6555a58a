/** What the engine does when a gate gives in: everything that the detectors of a series look at moves with them. */
import { describe, expect, it } from 'vitest'
import { classOf, settingsOf } from './fleet.ts'
import { Bench } from './partition.ts'
import { seeded } from './seeded.ts'

function live(bench: Bench, readings: number, value: () => number): void {
  for (let t = 0; t < readings; t++) {
    bench.now += 1_000
    bench.send('d', { a: value() })
  }
}

describe.each(['level', 'season', 'drift'])('%s', (detector) => {
  it('is calm at a new level soon after its gate gave in, and was odd until then', () => {
    const bench = new Bench(settingsOf({ detectors: [detector], classes: { default: classOf({ silence: false, budget: { alarms: 1, perMs: 600_000 } }) } }))
    const random = seeded(3)
    live(bench, 2_000, () => 20 + random.normal())
    live(bench, 490, () => 60 + random.normal())
    expect(bench.open('d', 'telemetry')).toBeDefined()
    live(bench, 60, () => 60 + random.normal())
    expect(bench.open('d', 'telemetry')).toBeUndefined()
  })
})
