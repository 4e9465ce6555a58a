/** The detectors there are, by the name a config gives them. */
import type { Settings } from '../core/settings.ts'
import { PipelineError } from '../core/errors.ts'
import { budget } from './budget.ts'
import type { Basis, Detector, RowPart, Scope } from './detector.ts'
import { clock } from './detectors/clock.ts'
import { drift } from './detectors/drift.ts'
import { chart } from './detectors/chart.ts'
import { level } from './detectors/level.ts'
import { limits } from './detectors/limits.ts'
import { rate } from './detectors/rate.ts'
import { season } from './detectors/season.ts'
import { shape } from './detectors/shape.ts'
import { silence } from './detectors/silence.ts'
import { stuck } from './detectors/stuck.ts'
import { deviceGate, seriesGate } from './gate.ts'
import { course } from './incidents.ts'
import { devicePresence, seriesPresence } from './presence.ts'
import { rule } from './rule.ts'

const CATALOGUE: ReadonlyMap<string, Detector> = new Map([level, season, drift, stuck, limits, silence, chart, rate, clock, shape].map((detector) => [detector.name, detector]))

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

/** What the detectors look at, each once. */
export function basesOf(detectors: readonly Detector[]): Basis[] {
  return [...new Set(detectors.flatMap(({ basis }) => basis ?? []))]
}

/** The parts of a row of one scope, in row order. */
export function partsOf(scope: Scope, detectors: readonly Detector[]): RowPart[] {
  const gates = detectors.flatMap(({ judging }) => judging?.gate ?? [])
  return [...FRAME, ...basesOf(detectors), ...detectors, ...gates].filter((part) => part.scope === scope)
}
