/** Every detector there is, under the one contract. */
import { expect, it } from 'vitest'
import { DETECTORS } from '../../../src/core/settings.ts'
import { detectorsOf } from '../../../src/detect/catalogue.ts'
import { level } from '../../../src/detect/detectors/level.ts'
import { limits } from '../../../src/detect/detectors/limits.ts'
import { silence } from '../../../src/detect/detectors/silence.ts'
import { detectorContract } from '../../contract/detector.ts'
import { settingsOf } from '../fleet.ts'
import type { Seeded } from '../seeded.ts'

const normal = (random: Seeded) => ({ value: 20 + 3 * random.normal() })

detectorContract(level, { usual: normal, calm: normal, odd: (random) => ({ value: 20 + random.pick([-1, 1]) * random.whole(25, 90) }) })

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

it('the catalogue holds what a config may name, and no other', () => {
  expect(detectorsOf(settingsOf({ detectors: [...DETECTORS] })).map(({ name }) => name)).toEqual(['level', 'limits', 'silence'])
  expect(() => detectorsOf(settingsOf({ detectors: ['level', 'unheard-of'] }))).toThrow(/unheard-of is not known here/)
})
