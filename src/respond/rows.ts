/** Rows of respond's state under one prefix each, their changes noted for the next commit, and what is looked up in them by other than their key. */
import type { IncidentRow, LeaseRow, NotifyEntry, OutboxEntry } from './state.ts'

export class Rows<T> {
  private readonly prefix: string
  private readonly dirty: Map<string, unknown>
  private readonly map = new Map<string, T>()

  /** `dirty`: rows by whole key, null where one was deleted. */
  constructor(prefix: string, dirty: Map<string, unknown>) {
    this.prefix = prefix
    this.dirty = dirty
  }

  get size(): number {
    return this.map.size
  }

  get(key: string): T | undefined {
    return this.map.get(key)
  }

  has(key: string): boolean {
    return this.map.has(key)
  }

  keys(): string[] {
    return [...this.map.keys()]
  }

  values(): T[] {
    return [...this.map.values()]
  }

  set(key: string, row: T): void {
    this.replaced(this.map.get(key), row)
    this.map.set(key, row)
    this.dirty.set(this.prefix + key, row)
  }

  delete(key: string): void {
    this.replaced(this.map.get(key), undefined)
    if (this.map.delete(key)) this.dirty.set(this.prefix + key, null)
  }

  /** Takes a stored row when it is one of these. */
  restore(key: string, row: unknown): boolean {
    if (!key.startsWith(this.prefix)) return false
    this.replaced(undefined, row as T)
    this.map.set(key.slice(this.prefix.length), row as T)
    return true
  }

  /** What is looked up by other than the key follows here. */
  protected replaced(_old: T | undefined, _row: T | undefined): void {}
}

/** Leases, with how many are active. */
export class LeaseRows extends Rows<LeaseRow> {
  private activeCount = 0

  get active(): number {
    return this.activeCount
  }

  protected override replaced(old: LeaseRow | undefined, row: LeaseRow | undefined): void {
    if (old?.state === 'active') this.activeCount--
    if (row?.state === 'active') this.activeCount++
  }
}

/** Open incidents, by device too, and those whose quarantine waits. */
export class IncidentRows extends Rows<IncidentRow> {
  private readonly byDevice = new Map<string, Map<string, IncidentRow>>()
  private readonly byWait = new Map<string, IncidentRow>()

  get waitingCount(): number {
    return this.byWait.size
  }

  waiting(): IncidentRow[] {
    return [...this.byWait.values()]
  }

  of(device: string): IncidentRow[] {
    return [...(this.byDevice.get(device)?.values() ?? [])]
  }

  protected override replaced(old: IncidentRow | undefined, row: IncidentRow | undefined): void {
    if (old) this.unlink(old)
    if (!row) return
    const { id, device } = row.incident
    const others = this.byDevice.get(device) ?? new Map<string, IncidentRow>()
    this.byDevice.set(device, others.set(id, row))
    if (row.waits) this.byWait.set(id, row)
  }

  private unlink({ incident: { id, device } }: IncidentRow): void {
    this.byWait.delete(id)
    const others = this.byDevice.get(device)
    others?.delete(id)
    if (others?.size === 0) this.byDevice.delete(device)
  }
}

/** The outbox, with a count of each kind, and the notifications that still gather revisions. */
export class OutboxRows extends Rows<OutboxEntry> {
  private readonly counts = { notify: 0, notice: 0, command: 0, control: 0 }
  private readonly gathering = new Map<string, NotifyEntry>()

  count(kind: OutboxEntry['kind']): number {
    return this.counts[kind]
  }

  /** The notification about this device that this notifier has not begun to deliver. */
  gatheringFor(notifier: string, device: string): NotifyEntry | undefined {
    return this.gathering.get(gatheringKey(notifier, device))
  }

  protected override replaced(old: OutboxEntry | undefined, row: OutboxEntry | undefined): void {
    if (old) this.counts[old.kind]--
    if (row) this.counts[row.kind]++
    if (isGathering(old)) this.gathering.delete(gatheringKey(old.notifier, old.incident.device))
    if (isGathering(row)) this.gathering.set(gatheringKey(row.notifier, row.incident.device), row)
  }
}

function isGathering(entry: OutboxEntry | undefined): entry is NotifyEntry {
  return entry?.kind === 'notify' && entry.tries === 0
}

function gatheringKey(notifier: string, device: string): string {
  return `${notifier}\0${device}`
}
