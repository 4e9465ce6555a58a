/** What the journal finds wrong on its disk: told once a place, counted, kept for who asks; never fatal, never delivered. */
import type { Logger } from '../../ops/logger.ts'
import type { Counter, Metrics } from '../../ops/metrics.ts'

export type DamageKind =
  | 'file-head' // the first 64 bytes of a file; its entries are read all the same
  | 'start' // the entry a file starts with
  | 'footer' // of a file that others follow is damaged: it is scanned instead
  | 'missing' // a file between others is not there
  | 'entry' // one entry of a group; the rest of the group counts
  | 'bytes' // bytes that are no entry, between entries
  | 'marker' // of a group that is whole all the same
  | 'group' // a group that can't be told from a torn one and is dropped
  | 'torn' // bytes after the last whole group, or no footer: a write that a crash or a full disk cut short, no damage
  | 'state' // the newest state is incomplete: an older one is used, or none

export interface Damage {
  readonly what: DamageKind
  /** Name of the file in the journal's folder. */
  readonly file: string
  /** Position in the file, bytes. */
  readonly at: number
  /** For people: which record, what follows from it. */
  readonly detail: string
}

/** Places remembered; beyond it a place may be told twice. */
const MOST_KEPT = 1_000

export interface DamageOptions {
  readonly metrics?: Metrics | undefined
  readonly logger?: Logger | undefined
  readonly onDamage?: ((damage: Damage) => void) | undefined
}

export class DamageReport {
  readonly found: Damage[] = []
  readonly #told = new Set<string>()
  readonly #counter: Counter | undefined
  readonly #options: DamageOptions

  constructor(options: DamageOptions) {
    this.#options = options
    this.#counter = options.metrics?.counter('picket_journal_damaged_total', 'Places of the journal found damaged or torn.', ['what'])
  }

  tell(damage: Damage): void {
    const place = `${damage.what} ${damage.file} ${damage.at} ${damage.detail}`
    if (this.#told.has(place)) return
    if (this.#told.size < MOST_KEPT) {
      this.#told.add(place)
      this.found.push(damage)
    }
    this.#counter?.add(1, { what: damage.what })
    const { logger } = this.#options
    if (damage.what === 'torn') logger?.info({ ...damage }, 'a write to the journal was cut short, as by a crash or a full disk')
    else if (damage.what === 'state') logger?.error({ ...damage }, `the journal is damaged: ${damage.detail}`)
    else logger?.warn({ ...damage }, 'the journal is damaged')
    this.#options.onDamage?.(damage)
  }
}
