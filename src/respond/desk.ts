/** The desk: all of respond's decisions one after another, and everything decided meanwhile in one commit; effects only after it. */
import { PipelineError } from '../core/errors.ts'

export interface DeskOptions {
  /** Makes what was decided durable, all or nothing; called also when perhaps nothing changed. */
  readonly commit: () => Promise<void>
  /** Most decisions in one commit. */
  readonly batch: number
}

interface Matter {
  readonly decide: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Desk {
  private readonly options: DeskOptions
  private readonly matters: Matter[] = []
  private followUps: (() => void)[] = []
  private closedBy: { readonly error: unknown } | null = null
  private wake: () => void = () => undefined

  constructor(options: DeskOptions) {
    this.options = options
  }

  /** Matters not yet decided; bounded by those who bring them, of whom each waits or is counted. */
  get waiting(): number {
    return this.matters.length
  }

  /** Resolves when what `decide` did to the state is durable; rejects when that failed, and then the desk is closed. */
  decide(decide: () => void): Promise<void> {
    return new Promise((resolve, reject) => this.take({ decide, resolve, reject }))
  }

  /** The same for those who need not know; `run` tells of a failure. */
  post(decide: () => void): void {
    this.take({ decide, resolve: () => undefined, reject: () => undefined })
  }

  /** To be called while deciding: runs after the commit this decision is part of. */
  afterCommit(run: () => void): void {
    this.followUps.push(run)
  }

  /** Decides until `signal` aborts and nothing waits; rejects with what a decision or a commit threw. Ends closed. */
  async run(signal: AbortSignal): Promise<void> {
    const wake = () => this.wake()
    signal.addEventListener('abort', wake)
    try {
      for (;;) {
        if (this.matters.length > 0) await this.decideBatch()
        else if (signal.aborted) break
        else await new Promise<void>((resolve) => (this.wake = resolve))
      }
      this.close(new PipelineError('CLOSED', 'respond has stopped'))
    } catch (error) {
      this.close(error)
      throw error
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  private take(matter: Matter): void {
    if (this.closedBy) return matter.reject(this.closedBy.error)
    this.matters.push(matter)
    this.wake()
  }

  private async decideBatch(): Promise<void> {
    const batch = this.matters.splice(0, this.options.batch)
    try {
      for (const matter of batch) matter.decide()
      await this.options.commit()
    } catch (error) {
      for (const matter of batch) matter.reject(error)
      throw error
    }
    const followUps = this.followUps
    this.followUps = []
    for (const run of followUps) run()
    for (const matter of batch) matter.resolve()
  }

  private close(error: unknown): void {
    this.closedBy = { error }
    for (const matter of this.matters.splice(0)) matter.reject(error)
  }
}
