/** Detect's task on one partition: gives `partition.ts` its records, its incidents to the log, and its rows a checkpoint. */
import { comparePositions } from '../core/position.ts'
import { errorText, isPipelineError, PipelineError } from '../core/errors.ts'
import { assert } from '../core/assert.ts'
import { type Control, decodeControl, isControl } from '../log/control.ts'
import { decodeFrame } from '../log/frame.ts'
import { APPEND_MOST, type Cut, type Log, type Opened, offsetKey, type Partition, type Slice, type StoredRecord, type Task } from '../log/log.ts'
import { oldestControl } from '../log/oldest-control.ts'
import { PAGE_KINDS, type Page } from '../log/page.ts'
import { encodeIncidentRecord } from '../log/revision.ts'
import type { Clock } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import { Checkpoint } from './checkpoint.ts'
import type { DetectMeters } from './meters.ts'
import { PartitionState } from './partition.ts'
import { placesOf, readIncidentsEnd, sayOpen, type Stand, takeOver } from './takeover.ts'

/** Copies of pages a checkpoint under way may hold before scoring waits for it. */
const COPIES_MAX = 1024
/** Writers with another incarnation that are remembered. */
const STRANGERS = 16
/** Where the record stands that names the topic's incarnation: among the oldest. */
const NAMED_WITHIN = { most: 1000 } as const

export interface TaskPorts {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly meters: DetectMeters
}

export interface CheckpointPace {
  readonly everyMs: number
  readonly bytes: number
}

/** Takes the partition over in the design's order and says what is open. Throws RECREATED when it must begin anew. */
export async function openTask(owned: Partition, ports: TaskPorts, pace: CheckpointPace): Promise<Opened & { task: DetectTask }> {
  const { number } = owned
  const taken = await takeOver(owned)
  const checkpoint = new Checkpoint(number)
  const partition = new PartitionState({ incarnation: taken.restored.incarnation, partition: number }, checkpoint.beforeChange)
  const unusable = taken.unusable ?? whyUnusable(partition, taken.pages)
  if (unusable !== null) {
    ports.logger.error({ partition: number, why: unusable }, 'state is unusable: starting anew from the oldest reading kept')
    await beginAnew(owned, ports.log, taken.keys)
  }
  const { low } = await ports.log.bounds('readings', number)
  const places = placesOf(taken.restored, number)
  const from = places.readings ?? low
  const { low: oldest } = await ports.log.bounds('incidents', number)
  const incarnation = partition.incarnation || ((await oldestControl(ports.log, number, NAMED_WITHIN))?.incarnation ?? '')
  const end = await readIncidentsEnd(ports.log, number, { from: Math.max(places.incidents ?? oldest, oldest), incarnation })
  const { facts } = partition
  if (end.furthest && (!facts.furthest || comparePositions(end.furthest, facts.furthest) > 0)) facts.furthest = end.furthest
  const { epoch } = taken.restored
  const task = new DetectTask({ owned, ports, pace, epoch, partition, checkpoint, from, incidentsNext: end.next, keys: taken.keys })
  if (partition.incarnation !== '') await task.sayStand()
  return { task, from }
}

/** Loads the pages; says why they can't be, or null. */
function whyUnusable(partition: PartitionState, pages: readonly Page[]): string | null {
  try {
    partition.load(pages)
    return null
  } catch (error) {
    if (!isPipelineError(error, 'BAD_RECORD')) throw error
    return error.message
  }
}

/** Deletes all state in one commit, so that the next takeover starts from the oldest reading; always throws RECREATED. */
async function beginAnew(owned: Partition, log: Log, keys: Iterable<string>): Promise<never> {
  const { low } = await log.bounds('readings', owned.number)
  const writes = [...keys].map((key) => ({ topic: 'state' as const, partition: owned.number, key, value: null }))
  await owned.commit(writes, { next: new Map([[offsetKey('readings', owned.number), low]]), incarnation: '' })
  throw new PipelineError('RECREATED', `readings/${owned.number}: starting anew`)
}

interface TaskParts {
  readonly owned: Partition
  readonly ports: TaskPorts
  readonly pace: CheckpointPace
  readonly epoch: number
  readonly partition: PartitionState
  readonly checkpoint: Checkpoint
  readonly from: number
  readonly incidentsNext: number
  readonly keys: readonly string[]
}

export class DetectTask implements Task {
  readonly partition: PartitionState
  readonly #parts: TaskParts
  readonly #keys: Set<string>
  /** Incarnations of writers that are known to have no say. */
  readonly #strangers = new Set<string>()
  #next: number
  #incidentsNext: number
  #incidentsFlushed: Promise<void> = Promise.resolve()
  #committed: number
  #committedAt: number
  #underWay: Promise<void> | null = null
  #failure: unknown = null

  constructor(parts: TaskParts) {
    this.#parts = parts
    this.partition = parts.partition
    this.#keys = new Set(parts.keys)
    this.#next = parts.from
    this.#committed = parts.from
    this.#committedAt = parts.ports.clock.monotonic()
    this.#incidentsNext = parts.incidentsNext
  }

  /** Offset of the next record to be scored. */
  get next(): number {
    return this.#next
  }

  /** Tells readers of the incidents where the task stands: what is open there, and under which config. */
  async sayStand(): Promise<void> {
    await this.#say(this.#next, { ids: this.partition.openIds(), config: this.partition.config })
  }

  async process(slice: Slice): Promise<void> {
    this.#checkOwned()
    try {
      await this.#take(slice)
    } catch (error) {
      // The rows are ahead of any place that could be committed.
      this.#failure = error
      throw error
    }
    if (this.#isDue()) this.#beginCheckpoint()
  }

  async #take(slice: Slice): Promise<void> {
    if (slice.lost > 0) this.partition.lost(slice.lost, slice.records[0]!.offset)
    for (const record of slice.records) {
      if (this.#parts.checkpoint.copies > COPIES_MAX) await this.#underWay
      await this.#record(record)
    }
    this.partition.settle()
    this.#next = slice.next
    await this.#appendMade()
    this.#measure(slice)
  }

  /** The signal has aborted by now, after a clean end as after a lost partition: the commit tells which. */
  async close(): Promise<void> {
    await this.#underWay
    if (this.#failure !== null) return
    this.#beginCheckpoint()
    await this.#underWay
    if (this.#failure !== null && !isPipelineError(this.#failure, 'FENCED')) throw this.#failure
  }

  /** An owner that lost its partition stops before its next effect. */
  #checkOwned(): void {
    if (this.#failure !== null) throw this.#failure
    if (this.#parts.owned.signal.aborted) throw new PipelineError('FENCED', `readings/${this.#parts.owned.number} has another owner`)
  }

  async #record(record: StoredRecord): Promise<void> {
    const { value, offset } = record
    this.partition.advance(record.time)
    if (value === null) return
    try {
      if (isControl(value)) await this.#control(decodeControl(value), offset)
      else this.#frame(value, offset)
    } catch (error) {
      if (!isPipelineError(error, 'BAD_RECORD')) throw error
      this.#parts.ports.meters.unreadable(this.#parts.owned.number, offset, errorText(error))
    }
  }

  #frame(value: Uint8Array, offset: number): void {
    const frame = decodeFrame(value)
    if (!this.partition.frame(frame, offset)) this.#parts.ports.meters.left('config', frame.device.length)
  }

  async #control(control: Control, offset: number): Promise<void> {
    this.partition.settle()
    if (this.partition.incarnation !== '' && control.incarnation !== this.partition.incarnation) return this.#foreign(control)
    if (this.partition.isNewer(control.body)) {
      // The rows change shape here: what came before is committed as it stands, and the record is met again after a crash.
      this.#next = offset
      await this.#appendMade()
      await this.#underWay
      this.#beginCheckpoint()
      await this.#underWay
      this.#checkOwned()
      this.partition.control(control, offset)
      return await this.#switched(offset)
    }
    this.partition.control(control, offset)
  }

  /** Who reads no readings hears here what is in force; what the config no longer looks for has closed by now, and stands before it. */
  async #switched(offset: number): Promise<void> {
    const { owned, ports } = this.#parts
    this.#next = offset + 1
    await this.#appendMade()
    this.#checkOwned()
    await this.sayStand()
    const { version, hash } = this.partition.config!
    ports.logger.info({ partition: owned.number, offset, version, hash }, 'a configuration is in force')
  }

  /** Of another incarnation: the topic was recreated, or the writer began beside the one that named it and has no say. */
  async #foreign(control: Control): Promise<void> {
    const { owned, ports } = this.#parts
    if (this.#strangers.has(control.incarnation)) return ports.meters.left('incarnation', 1)
    const named = (await oldestControl(ports.log, owned.number, NAMED_WITHIN))?.incarnation ?? null
    if (named === this.partition.incarnation && this.#strangers.size < STRANGERS) this.#strangers.add(control.incarnation)
    if (named === null || named === this.partition.incarnation) return ports.meters.left('incarnation', 1)
    ports.logger.warn({ partition: owned.number, was: this.partition.incarnation, is: control.incarnation }, 'the readings topic was recreated: starting anew')
    await this.#underWay
    await beginAnew(owned, ports.log, this.#keys)
  }

  async #appendMade(): Promise<void> {
    const made = this.partition.takeMade()
    if (made.length === 0) return
    this.#checkOwned()
    const { owned, ports, epoch } = this.#parts
    const { incarnation } = this.partition
    const records = made.map(({ position, n, arrival, incident }) => ({
      key: incident.id,
      value: encodeIncidentRecord({ kind: 'revision', stamp: { incarnation, epoch, position, n }, arrival, incident }),
    }))
    for (let at = 0; at < records.length; at += APPEND_MOST) {
      const some = records.slice(at, at + APPEND_MOST)
      const { offset, flushed } = await ports.log.append('incidents', owned.number, some)
      this.#incidentsNext = offset + some.length
      this.#incidentsFlushed = flushed
    }
    ports.meters.sent(records.length)
    for (const { incident } of made) if (incident.revision === 1) ports.meters.opened(incident)
  }

  #isDue(): boolean {
    if (this.#underWay || this.#next === this.#committed) return false
    const { pace, ports } = this.#parts
    return ports.clock.monotonic() - this.#committedAt >= pace.everyMs || this.#dirtyBytes() >= pace.bytes
  }

  #dirtyBytes(): number {
    const tables = this.partition.state?.tables
    return tables ? PAGE_KINDS.reduce((sum, kind) => sum + tables[kind].dirtyBytes, 0) : 0
  }

  /** Marks what changed and commits it in the background; a failure is thrown by the next `process`. */
  #beginCheckpoint(): void {
    assert(this.#underWay === null, 'one checkpoint at a time')
    // The pages of one that failed count as unchanged by now: another would stand beside them.
    if (this.#failure !== null) throw this.#failure
    const { facts, state, incarnation } = this.partition
    const passed = facts.furthest !== null && incarnation !== '' && this.#next > facts.furthest.offset
    const open = passed ? { ids: this.partition.openIds(), config: this.partition.config } : null
    if (passed) facts.furthest = null
    this.partition.writeFacts()
    if (state) this.#parts.checkpoint.begin(state.tables)
    this.#committed = this.#next
    this.#committedAt = this.#parts.ports.clock.monotonic()
    this.#underWay = this.#commit(this.#next, incarnation, open)
      .catch((error: unknown) => {
        this.#failure = error
      })
      .then(() => {
        this.#underWay = null
      })
  }

  /** Everything up to the cut first: what is open (where readers must hear it again), the incidents, and then pages and header at once. */
  async #commit(next: number, incarnation: string, open: Pick<Stand, 'ids' | 'config'> | null): Promise<void> {
    const { owned, ports } = this.#parts
    const started = ports.clock.monotonic()
    // A task that was let go leaves it to the next takeover: its rows may follow from records that were lost.
    const said = open && !owned.signal.aborted ? await this.#say(next, open) : null
    const incidentsNext = said ?? this.#incidentsNext
    await this.#incidentsFlushed
    const cut: Cut = {
      next: new Map([
        [offsetKey('readings', owned.number), next],
        [offsetKey('incidents', owned.number), incidentsNext],
      ]),
      incarnation,
    }
    await owned.commit(this.#counted(), cut)
    ports.meters.checkpoint(ports.clock.monotonic() - started)
  }

  /** The incidents' next offset right behind it; those of later slices may follow by the time it resolves. */
  async #say(cut: number, stand: Pick<Stand, 'ids' | 'config'>): Promise<number> {
    const { owned, ports, epoch } = this.#parts
    const { incarnation } = this.partition
    const { offset, flushed } = await sayOpen(ports.log, owned.number, { incarnation, epoch, cut, ...stand })
    const next = offset + 1
    if (next > this.#incidentsNext) [this.#incidentsNext, this.#incidentsFlushed] = [next, flushed]
    return next
  }

  *#counted() {
    for (const write of this.#parts.checkpoint.writes()) {
      if (write.value === null) this.#keys.delete(write.key)
      else this.#keys.add(write.key)
      yield write
    }
  }

  #measure(slice: Slice): void {
    const { clock, meters } = this.#parts.ports
    const now = clock.now()
    for (const { time } of slice.records) meters.scored(Math.max(0, now - time))
    meters.took(this.partition.takeTaken())
    meters.leftOut(this.partition.leftOut)
    meters.refused(this.partition.takeRefused())
  }
}
