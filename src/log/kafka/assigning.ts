/**
 * Who of a group gets which partitions: a pure function, run by the member that leads the group when somebody comes or goes. What a
 * member holds stays with it as long as the numbers are even; what must move is first taken, and given in the next generation.
 */

/** A member as it joins. */
export interface Candidate {
  /** Given by the broker. */
  readonly id: string
  /** The process's own. */
  readonly name: string
  /** What it works at, or has not yet let go: the generation in which it was given each partition. Empty once its lease is over. */
  readonly claims: ReadonlyMap<number, number>
  /** It takes nothing more. */
  readonly leaving: boolean
}

export interface Plan {
  /** By member: what it keeps and what it gets, ascending. A claim that is missing is to be let go, and to be joined again without. */
  readonly given: ReadonlyMap<string, readonly number[]>
  /** By partition the process that works at it, or is about to: also one that has yet to let go. */
  readonly holders: ReadonlyMap<number, string>
}

/**
 * Nobody gets what another claims; where two claim, the later generation wins. Whoever keeps or gets too little or too much does so for
 * one generation only: when all has been let go, everybody but the leaving has the same number, or one more.
 */
export function assign(partitions: number, candidates: readonly Candidate[]): Plan {
  const members = candidates.toSorted((a, b) => compare(a.id, b.id))
  const owners = ownersOf(partitions, members)
  const held = new Map(members.map((member) => [member, [] as number[]]))
  for (const [partition, owner] of owners) held.get(owner)!.push(partition)
  const given = new Map(members.map((member) => [member.id, [...held.get(member)!]]))
  const holders = new Map([...owners].map(([partition, owner]) => [partition, owner.name]))

  const takers = members.filter((member) => !member.leaving)
  // Those who hold most keep the one more, so that nothing moves for it.
  const byHeld = takers.toSorted((a, b) => held.get(b)!.length - held.get(a)!.length || compare(a.id, b.id))
  const least = Math.floor(partitions / Math.max(1, takers.length))
  const withOneMore = partitions % Math.max(1, takers.length)
  const quotas = new Map(byHeld.map((member, place) => [member, place < withOneMore ? least + 1 : least]))

  // The newest goes first: what was held long has most that it would be restored from.
  for (const [member, quota] of quotas) {
    const byAge = held.get(member)!.toSorted((a, b) => member.claims.get(a)! - member.claims.get(b)! || a - b)
    given.set(member.id, byAge.slice(0, quota))
  }
  for (let partition = 0; partition < partitions; partition++) {
    if (owners.has(partition)) continue
    const taker = emptiest(quotas, given)
    if (!taker) break // all are leaving
    given.get(taker.id)!.push(partition)
    holders.set(partition, taker.name)
  }
  for (const mine of given.values()) mine.sort((a, b) => a - b)
  return { given, holders }
}

/** By partition, whose claim counts. */
function ownersOf(partitions: number, members: readonly Candidate[]): Map<number, Candidate> {
  const owners = new Map<number, Candidate>()
  for (const member of members) {
    for (const [partition, generation] of member.claims) {
      if (partition < 0 || partition >= partitions) continue
      const other = owners.get(partition)
      if (!other || generation > other.claims.get(partition)!) owners.set(partition, member)
    }
  }
  return owners
}

/** The member furthest below its quota, the first of them by id. */
function emptiest(quotas: ReadonlyMap<Candidate, number>, given: ReadonlyMap<string, readonly number[]>): Candidate | undefined {
  let found: Candidate | undefined
  let most = 0
  for (const [member, quota] of quotas) {
    const room = quota - given.get(member.id)!.length
    if (room > most || (room === most && room > 0 && found && member.id < found.id)) {
      found = member
      most = room
    }
  }
  return found
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
