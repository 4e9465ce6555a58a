/** The readers' rule: which records of the incidents topic are news, and which were seen, remade or written by an owner long gone. Pure. */
import type { Incident } from '../core/incident.ts'
import type { IncidentRecord } from '../log/revision.ts'
import { comparePositions, compareStamps } from '../core/position.ts'
import type { Position, Stamp } from '../core/position.ts'

/** How far a partition has been read. JSON. */
export interface Mark extends Stamp {
  /** Incarnations the partition had before, newest last, at most 4: their late records are dropped. */
  readonly left: readonly string[]
}

/** An incident held open. */
export interface OpenIncident {
  readonly incident: Incident
  readonly partition: number
  /** Where the first revision seen of it was made. */
  readonly position: Position
}

/** What a record brought. `closed` also for an id never seen open. */
export interface Change extends OpenIncident {
  readonly kind: 'opened' | 'updated' | 'closed'
}

/** `full`: passed on, but not held, so nothing can supersede it. The others were dropped. */
export type Remark = 'seen' | 'old-epoch' | 'old-incarnation' | 'closed' | 'full'

export interface IncidentReaderOptions {
  /** Most incidents held open. */
  readonly mostOpen: number
  /** Counts what was not passed on, and why. */
  readonly remark: (what: Remark) => void
}

const INCARNATIONS_LEFT = 4
/** Ids remembered as closed, so that a straggler doesn't open them again; what is older, the marks keep out. */
const CLOSED_IDS = 10_000

export class IncidentReader {
  private readonly options: IncidentReaderOptions
  private readonly marks = new Map<number, Mark>()
  private readonly held = new Map<string, OpenIncident>()
  private readonly closedIds = new Set<string>()

  constructor(options: IncidentReaderOptions) {
    this.options = options
  }

  /** Undefined before the partition's first record. */
  mark(partition: number): Mark | undefined {
    return this.marks.get(partition)
  }

  restoreMark(partition: number, mark: Mark): void {
    this.marks.set(partition, mark)
  }

  restoreOpen(open: OpenIncident): void {
    this.held.set(open.incident.id, open)
  }

  get openCount(): number {
    return this.held.size
  }

  open(): Iterable<OpenIncident> {
    return this.held.values()
  }

  /** The changes this record makes, in order. `time`: its append time, ms since epoch, from which superseded closings are dated. */
  apply(partition: number, record: IncidentRecord, time: number): Change[] {
    const changes: Change[] = []
    let mark = this.marks.get(partition) ?? freshMark(record.stamp, [])
    if (mark.incarnation !== record.stamp.incarnation) {
      if (mark.left.includes(record.stamp.incarnation)) return this.drop('old-incarnation')
      changes.push(...this.supersede(partition, time, () => true))
      mark = freshMark(record.stamp, [...mark.left, mark.incarnation].slice(-INCARNATIONS_LEFT))
    }
    if (record.stamp.epoch < mark.epoch) return this.drop('old-epoch')
    if (record.kind === 'opened') {
      const listed = new Set(record.ids)
      const upTo = record.stamp.position
      changes.push(...this.supersede(partition, time, (open) => comparePositions(open.position, upTo) <= 0 && !listed.has(open.incident.id)))
      this.marks.set(partition, { ...mark, epoch: record.stamp.epoch })
      return changes
    }
    const isSeen = compareStamps(record.stamp, mark) <= 0
    this.marks.set(partition, isSeen ? { ...mark, epoch: record.stamp.epoch } : { ...record.stamp, left: mark.left })
    if (isSeen) return this.drop('seen')
    changes.push(...this.revise(partition, record.stamp.position, record.incident))
    return changes
  }

  private revise(partition: number, position: Position, incident: Incident): Change[] {
    if (this.closedIds.has(incident.id)) return this.drop('closed')
    const known = this.held.get(incident.id)
    const open = { incident, partition, position: known?.position ?? position }
    if (incident.state === 'closed') {
      this.forget(incident.id)
      return [{ ...open, kind: 'closed' }]
    }
    if (known || this.held.size < this.options.mostOpen) this.held.set(incident.id, open)
    else this.options.remark('full')
    return [{ ...open, kind: known ? 'updated' : 'opened' }]
  }

  private supersede(partition: number, time: number, isGone: (open: OpenIncident) => boolean): Change[] {
    const changes: Change[] = []
    for (const open of this.held.values()) {
      if (open.partition !== partition || !isGone(open)) continue
      this.forget(open.incident.id)
      changes.push({ ...open, kind: 'closed', incident: superseded(open.incident, time) })
    }
    return changes
  }

  private forget(id: string): void {
    this.held.delete(id)
    this.closedIds.add(id)
    if (this.closedIds.size <= CLOSED_IDS) return
    for (const oldest of this.closedIds) {
      this.closedIds.delete(oldest)
      break
    }
  }

  private drop(why: Remark): Change[] {
    this.options.remark(why)
    return []
  }
}

/** A mark before everything its incarnation will bring. */
function freshMark(stamp: Stamp, left: readonly string[]): Mark {
  return { incarnation: stamp.incarnation, epoch: stamp.epoch, position: { offset: -1, index: 0 }, n: -1, left }
}

function superseded(incident: Incident, time: number): Incident {
  const at = Math.max(incident.updatedAt, time)
  return { ...incident, revision: incident.revision + 1, state: 'closed', updatedAt: at, closedAt: at, closedBy: 'superseded' }
}
