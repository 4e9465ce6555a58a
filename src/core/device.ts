/** A device as people see it: what detect knows of it and the API shows. Additions only. */

export interface DeviceView {
  readonly id: string
  readonly class: string
  readonly labels: Readonly<Record<string, string>>
  readonly state: 'learning' | 'normal' | 'odd' | 'silent' | 'quarantined'
  /** Share of their warm-ups that its metrics and detectors have behind them, 0 to 1; 1 when all that will have a say have it. */
  readonly learning: number
  /** Event time of its newest message, ms since epoch; null before its first. */
  readonly lastSeen: number | null
  /** Newest value of each metric; null when it said that it has none. Of a category the first 64 characters. */
  readonly metrics: Readonly<Record<string, number | boolean | string | null>>
}
