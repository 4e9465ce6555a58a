/** The detectors there are, by the name a config gives them. */
import type { Settings } from '../core/settings.ts'
import { PipelineError } from '../core/errors.ts'
import { budget } from './budget.ts'
import type { Detector, RowPart, Scope } from './detector.ts'
import { level } from './detectors/level.ts'
import { limits } from './detectors/limits.ts'
import { silence } from './detectors/silence.ts'
import { deviceGate, seriesGate } from './gate.ts'
import { course } from './incidents.ts'
import { devicePresence, seriesPresence } from './presence.ts'
import { rule } from './rule.ts'

const CATALOGUE: ReadonlyMap<string, Detector> = new Map([level, limits, silence].map((detector) => [detector.name, detector]))

/** Parts of the row that are always there: what the rounds themselves need. */
const FRAME: readonly RowPart[] = [seriesPresence, seriesGate, devicePresence, deviceGate, rule, budget, course]

/** The detectors the settings name, in their order. Throws BAD_CONFIG for a name this process does not know: it can't own the partition. */
export function detectorsOf(settings: Settings): Detector[] {
  return settings.detectors.map((name) => {
    const detector = CATALOGUE.get(name)
    if (!detector) throw new PipelineError('BAD_CONFIG', `detectors: ${name} is not known here; known are ${[...CATALOGUE.keys()].join(', ')}`)
    return detector
  })
}

/** The parts of a row of one scope, in row order. */
export function partsOf(scope: Scope, detectors: readonly Detector[]): RowPart[] {
  return [...FRAME, ...detectors].filter((part) => part.scope === scope)
}
