/** Every detector there is, under the one contract. */
import { expect, it } from 'vitest'
import { DETECTORS } from '../../../src/core/settings.ts'
import { detectorsOf, partsOf } from '../../../src/detect/catalogue.ts'
import { NEW_METRIC } from '../../../src/detect/detector.ts'
import { clock as clockDetector } from '../../../src/detect/detectors/clock.ts'
import { drift } from '../../../src/detect/detectors/drift.ts'
import { chart } from '../../../src/detect/detectors/chart.ts'
import { level } from '../../../src/detect/detectors/level.ts'
import { limits } from '../../../src/detect/detectors/limits.ts'
import { rate } from '../../../src/detect/detectors/rate.ts'
import { season } from '../../../src/detect/detectors/season.ts'
import { shape } from '../../../src/detect/detectors/shape.ts'
import { silence } from '../../../src/detect/detectors/silence.ts'
import { stuck } from '../../../src/detect/detectors/stuck.ts'
import { makeLayout } from '../../../src/detect/layout.ts'
import { detectorContract } from '../../contract/detector.ts'
import { settingsOf } from '../fleet.ts'
import type { Seeded } from '../seeded.ts'

const normal = (random: Seeded) => ({ value: 20 + 3 * random.normal() })

detectorContract(level, { usual: normal, calm: normal, odd: (random) => ({ value: 20 + random.pick([-1, 1]) * random.whole(25, 90) }) })

/** A day's course with a little noise, in weekdays' and weekends' hours. */
const daily = (random: Seeded) => {
  const clock = random.whole(0, 47)
  return { clock, value: 20 + 5 * Math.sin((clock * Math.PI) / 12) + 0.3 * random.normal() }
}

detectorContract(season, {
  usual: daily,
  calm: daily,
  odd: (random) => {
    const clock = random.pick([5, 6, 7, 29, 30, 31])
    return { clock, value: 20 - 8 * Math.sin((clock * Math.PI) / 12) }
  },
})

detectorContract(drift, {
  usual: normal,
  calm: normal,
  lead: (random) => Array.from({ length: 20 }, () => ({ value: 28 + random.normal() })),
  odd: (random) => ({ value: 28 + random.normal() }),
})

detectorContract(stuck, {
  usual: (random) => ({ value: random.whole(18, 22) }),
  calm: (random) => ({ value: random.whole(18, 22) }),
  lead: () => Array.from({ length: 40 }, () => ({ value: 21.5 })),
  odd: () => ({ value: 21.5 }),
})

detectorContract(chart, { usual: normal, calm: normal, odd: (random) => ({ value: 20 + random.pick([-1, 1]) * random.whole(60, 200) }) })

const bounds = { above: 30, below: 10 }

detectorContract(limits, {
  usual: (random) => ({ value: random.whole(10, 30), ...bounds }),
  calm: (random) => ({ value: random.whole(10, 30), ...bounds }),
  odd: (random) => ({ value: random.pick([-1, 9.99, 30.01, 99]), ...bounds }),
})

detectorContract(silence, {
  usual: (random) => ({ gap: random.whole(4_000, 12_000), value: 1 }),
  calm: (random) => ({ gap: random.whole(0, 12_000), missing: true }),
  odd: (random) => ({ gap: random.whole(30_000, 600_000), missing: true }),
})

const steady = (random: Seeded) => ({ after: random.whole(900, 1_100) })

detectorContract(rate, {
  usual: steady,
  calm: steady,
  lead: () => Array.from({ length: 30 }, () => ({ after: 50 })),
  odd: (random) => ({ after: random.whole(10, 60) }),
})

detectorContract(clockDetector, {
  usual: (random) => ({ skew: -random.whole(20, 400) }),
  calm: (random) => ({ skew: -random.whole(20, 4_000) }),
  odd: (random) => ({ skew: random.whole(30_000, 900_000) }),
})

detectorContract(shape, {
  usual: (random) => ({ shape: random.pick([11, 12, 13]) }),
  calm: (random) => ({ shape: random.pick([11, 12, 13]) }),
  odd: (random) => ({ shape: random.whole(100, 1_000), fresh: NEW_METRIC }),
})

it.each(DETECTORS)('%s says when it opens an incident, if it is of devices and the cause is its own', (name) => {
  const [{ scope, cause, judging } = rate] = detectorsOf(settingsOf({ detectors: [name] }))
  expect(judging !== undefined).toBe(scope === 'device' && cause !== 'telemetry')
})

it('the statistical detectors of a series take at most 640 bytes of it', () => {
  const series = detectorsOf(settingsOf({ detectors: [...DETECTORS] })).filter(({ scope }) => scope === 'series')
  const { stride } = makeLayout(partsOf('series', series))
  expect(stride).toBeLessThanOrEqual(640)
  expect(series.map(({ name }) => name)).toEqual(['level', 'season', 'drift', 'stuck', 'limits'])
})

it('the catalogue holds what a config may name, and no other', () => {
  expect(detectorsOf(settingsOf({ detectors: [...DETECTORS] })).map(({ name }) => name)).toEqual([...DETECTORS])
  expect(() => detectorsOf(settingsOf({ detectors: ['level', 'unheard-of'] }))).toThrow(/unheard-of is not known here/)
})
