/** How owners and leaders of every adapter end together: with any of several signals, and all partitions when one fails. */

export interface Stopping {
  readonly stop: AbortController
  /** Listens to its sources no longer. */
  release(): void
}

/** Aborts with the first of `sources`, at once where one has aborted. */
export function stopWith(sources: readonly AbortSignal[]): Stopping {
  const stop = new AbortController()
  const abort = () => stop.abort()
  for (const source of sources) source.addEventListener('abort', abort, { once: true })
  if (sources.some((source) => source.aborted)) abort()
  return {
    stop,
    release() {
      for (const source of sources) source.removeEventListener('abort', abort)
    },
  }
}

/** Runs `own` for every partition; when one rejects the others are stopped, and the first rejection goes on when all have ended. */
export async function ownAll(partitions: number, own: (number: number) => Promise<void>, stop: AbortController): Promise<void> {
  const owners = Array.from({ length: partitions }, async (_, number) => {
    try {
      await own(number)
    } catch (error) {
      stop.abort() // the other partitions close their tasks before the error goes on
      throw error
    }
  })
  const ends = await Promise.allSettled(owners)
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}
