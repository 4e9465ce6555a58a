/** Respond's instruments. */
import type { Counter, Gauge, Histogram, Metrics } from '../ops/metrics.ts'

export interface Meters {
  /** kind: quarantine, release; outcome: sent, accepted, done, rejected, failed, timed out, superseded, refused, held. */
  readonly commands: Counter
  /** outcome: done, retry, failed, dropped, silenced. */
  readonly notifications: Counter
  readonly errors: Counter
  readonly drops: Counter
  readonly leases: Gauge
  readonly outbox: Gauge
  readonly openIncidents: Gauge
  readonly unanswered: Gauge
  readonly enforcement: Gauge
  readonly waiting: Gauge
  readonly silences: Gauge
  readonly lag: Gauge
  readonly toIncident: Histogram
  readonly toCommand: Histogram
}

export function respondMeters(metrics: Metrics): Meters {
  return {
    commands: metrics.counter('picket_commands_total', 'Commands to devices, by what came of them', ['kind', 'outcome']),
    notifications: metrics.counter('picket_notifications_total', 'Notifications, by what came of them', ['notifier', 'outcome']),
    errors: metrics.counter('picket_respond_errors_total', 'What went wrong in respond', ['reason']),
    drops: metrics.counter('picket_messages_dropped_total', 'What a stage dropped, by reason', ['stage', 'reason']),
    leases: metrics.gauge('picket_leases', 'Devices quarantined or being released'),
    outbox: metrics.gauge('picket_outbox', 'Effects decided and without an outcome'),
    openIncidents: metrics.gauge('picket_incidents_open', 'Incidents respond holds open'),
    unanswered: metrics.gauge('picket_quarantine_unanswered_seconds', 'For how long the oldest quarantine that was sent has no final answer of its device; 0: none waits'),
    enforcement: metrics.gauge('picket_enforcement', '1 while devices may be quarantined, 0 while enforcement is off or another process leads respond'),
    waiting: metrics.gauge('picket_quarantines_waiting', 'Incidents whose quarantine is held back and tried again'),
    silences: metrics.gauge('picket_silences', 'Silences in force'),
    lag: metrics.gauge('picket_respond_lag_records', 'Records respond has not decided on', ['topic', 'partition']),
    toIncident: metrics.histogram('picket_device_to_incident_seconds', 'From receipt of the reading that opened it to the durable decision over it'),
    toCommand: metrics.histogram('picket_device_to_command_seconds', 'From receipt of the reading or request that caused it to the command being handed over'),
  }
}
