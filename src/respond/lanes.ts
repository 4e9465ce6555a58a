/** Lanes: effects under way, so many at once a lane, the rest in the order they came. What waits is bounded by the outbox it comes from. */

export interface Effect {
  /** While an effect of this id is under way or waits, another is not started. */
  readonly id: string
  readonly lane: string
  /** How many of the lane may be under way at once; the same for all of a lane. */
  readonly width: number
  /** Never rejects. */
  readonly perform: () => Promise<void>
}

interface Lane {
  running: number
  readonly waiting: Effect[]
}

export class Lanes {
  private readonly lanes = new Map<string, Lane>()
  private readonly ids = new Set<string>()
  private idle: (() => void)[] = []
  private isClosed = false

  start(effect: Effect): void {
    if (this.isClosed || this.ids.has(effect.id)) return
    this.ids.add(effect.id)
    const lane = this.lanes.get(effect.lane) ?? { running: 0, waiting: [] }
    this.lanes.set(effect.lane, lane)
    if (lane.running < effect.width) void this.run(lane, effect)
    else lane.waiting.push(effect)
  }

  /** Starts nothing more and forgets what waits; resolves when what is under way has ended. */
  close(): Promise<void> {
    this.isClosed = true
    for (const lane of this.lanes.values()) for (const effect of lane.waiting.splice(0)) this.ids.delete(effect.id)
    return this.ids.size === 0 ? Promise.resolve() : new Promise((resolve) => this.idle.push(resolve))
  }

  private async run(lane: Lane, effect: Effect): Promise<void> {
    lane.running++
    await effect.perform()
    lane.running--
    this.ids.delete(effect.id)
    const next = lane.waiting.shift()
    if (next) void this.run(lane, next)
    else if (lane.running === 0) this.lanes.delete(effect.lane)
    if (this.ids.size > 0) return
    for (const resolve of this.idle.splice(0)) resolve()
  }
}
