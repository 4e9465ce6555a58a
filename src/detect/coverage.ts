/** What a partition knows of time: its own running maximum, and for each source how long we were listening (DESIGN.md section 4). */
import type { SourceState } from '../log/control.ts'

/** Ticks further apart leave what lies between them uncovered. */
const TICK_GAP_MS = 3000
/** Sources a partition keeps apart; more share the last place. */
export const SOURCES = 64

export interface SourceCover {
  readonly name: string
  /** ms that count. */
  covered: number
  /** Append time of its last tick, ms since epoch. */
  lastTick: number
  /** At its last tick: connected and without backlog. */
  listening: boolean
  /** The latest moment since which it was connected, ms since epoch; not there before a tick told it. */
  since?: number
  /** Partition time at which a tick told that it had come back, ms since epoch. */
  cameBack?: number
}

/** The source's place among `sources`, added when new. */
export function sourceIndex(sources: SourceCover[], name: string): number {
  const found = sources.findIndex((source) => source.name === name)
  if (found >= 0) return found
  if (sources.length === SOURCES) return SOURCES - 1
  sources.push({ name, covered: 0, lastTick: 0, listening: false })
  return sources.length - 1
}

/** A tick at partition time `now`: what lies since the source's last one counts when it was listening at both ends. */
export function coverTick(sources: SourceCover[], states: readonly SourceState[], now: number): void {
  for (const state of states) {
    const source = sources[sourceIndex(sources, state.name)]!
    const listening = state.connectedSince !== null && !state.backlog
    const since = now - source.lastTick
    if (listening && source.listening && since > 0 && since <= TICK_GAP_MS) source.covered += since
    source.lastTick = now
    source.listening = listening
    const connected = state.connectedSince ?? 0
    if (source.since !== undefined && connected > source.since) source.cameBack = now
    source.since = Math.max(source.since ?? 0, connected)
  }
}

/** A source that came back so lately still brings what its devices could not send meanwhile. */
const CATCHING_UP_MS = 60_000

export function isCatchingUp(source: SourceCover, now: number): boolean {
  return now - (source.cameBack ?? 0) < CATCHING_UP_MS
}
