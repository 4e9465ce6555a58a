/** Detect's own counters and histograms. */
import type { Incident } from '../core/incident.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { LeftOut } from './admission.ts'

export interface DetectMeters {
  /** Messages that entered a round. */
  took(messages: number): void
  /** Revisions appended. */
  sent(revisions: number): void
  /** ms from append to scored. */
  scored(ms: number): void
  opened(incident: Incident): void
  /** Counts what was left out since the last call, and sets it back. */
  leftOut(leftOut: LeftOut | null): void
  left(reason: string, messages: number): void
  /** Incidents there was no room for since the last call. */
  refused(incidents: number): void
  unreadable(partition: number, offset: number, why: string): void
  /** ms a checkpoint took. */
  checkpoint(ms: number): void
}

export function makeDetectMeters(metrics: Metrics, logger: Logger): DetectMeters {
  const dropped = metrics.counter('picket_messages_dropped_total', 'Messages that were received and not scored', ['stage', 'reason'])
  const scoredMessages = metrics.counter('picket_messages_scored_total', 'Messages that detect received and scored')
  const sent = metrics.counter('picket_messages_sent_total', 'Messages (ingest) and incident revisions (detect) that a stage gave to the log', ['stage'])
  const readings = metrics.counter('picket_readings_dropped_total', 'Readings left out of a message that was scored', ['reason'])
  const skew = metrics.counter('picket_clock_skew_total', 'Event times too far from arrival to be believed')
  const incidents = metrics.counter('picket_incidents_total', 'Incidents opened', ['class', 'cause', 'severity'])
  const noRoom = metrics.counter('picket_incidents_refused_total', 'Incidents there was no room for')
  const errors = metrics.counter('picket_errors_total', 'Records that could not be read', ['stage'])
  const scored = metrics.histogram('picket_append_to_scored_seconds', 'From append in the log to scored')
  const checkpoint = metrics.histogram('picket_checkpoint_seconds', 'From the cut to its commit')
  const left = (reason: string, by: number) => {
    if (by > 0) dropped.add(by, { stage: 'detect', reason })
  }
  return {
    scored: (ms) => scored.observe(ms / 1000),
    opened: ({ class: klass, cause, severity }) => incidents.add(1, { class: klass, cause, severity }),
    took(messages) {
      if (messages > 0) scoredMessages.add(messages)
    },
    sent: (revisions) => sent.add(revisions, { stage: 'detect' }),
    leftOut(leftOut) {
      if (!leftOut) return
      left('duplicate', leftOut.duplicate)
      left('retained', leftOut.retained)
      left('late', leftOut.late)
      left('capacity', leftOut.capacity)
      if (leftOut.lateReadings > 0) readings.add(leftOut.lateReadings, { reason: 'late' })
      if (leftOut.capacityReadings > 0) readings.add(leftOut.capacityReadings, { reason: 'capacity' })
      if (leftOut.cardinality > 0) readings.add(leftOut.cardinality, { reason: 'cardinality' })
      if (leftOut.clockSkew > 0) skew.add(leftOut.clockSkew)
      Object.assign(leftOut, { duplicate: 0, retained: 0, late: 0, lateReadings: 0, capacity: 0, capacityReadings: 0, cardinality: 0, clockSkew: 0 } satisfies LeftOut)
    },
    left,
    refused(count) {
      if (count > 0) noRoom.add(count)
    },
    unreadable(partition, offset, why) {
      errors.add(1, { stage: 'detect' })
      logger.error({ partition, offset, why }, 'a record of the readings can not be read: skipped')
    },
    checkpoint: (ms) => checkpoint.observe(ms / 1000),
  }
}
