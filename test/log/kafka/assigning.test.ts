/** Who gets which partitions: what holds for any members and any claims, and the steps in which partitions move. */
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { assign } from '../../../src/log/kafka/assigning.ts'
import type { Candidate } from '../../../src/log/kafka/assigning.ts'

function candidate(id: string, claims: Readonly<Record<number, number>> = {}, more: Partial<Candidate> = {}): Candidate {
  const all = Object.entries(claims).map(([partition, generation]) => [Number(partition), generation] as const)
  return { id, name: `name of ${id}`, claims: new Map(all), leaving: false, ...more }
}

/** What everybody has once all that was taken is let go, and joined again for, generation by generation. */
function settle(partitions: number, candidates: readonly Candidate[], generation: number): Candidate[] {
  const { given } = assign(partitions, candidates)
  return candidates.map((one) => {
    const mine = given.get(one.id)!
    return { ...one, claims: new Map(mine.map((partition) => [partition, one.claims.get(partition) ?? generation])) }
  })
}

const GENERATIONS = 4

const groups = fc
  .record({
    partitions: fc.integer({ min: 1, max: 24 }),
    members: fc.uniqueArray(fc.record({ id: fc.string({ minLength: 1, maxLength: 4 }), leaving: fc.boolean() }), { minLength: 1, maxLength: 9, selector: ({ id }) => id }),
    /** By partition, pairs of member and generation. */
    claims: fc.array(fc.array(fc.tuple(fc.nat(8), fc.integer({ min: 1, max: 50 })), { maxLength: 3 }), { maxLength: 30 }),
  })
  .map(({ partitions, members, claims }) => ({
    partitions,
    candidates: members.map(({ id, leaving }, number): Candidate => {
      const mine = claims.flatMap((pairs, partition) => pairs.filter(([of]) => of % members.length === number).map(([, generation]) => [partition, generation] as const))
      return { id, name: `name of ${id}`, claims: new Map(mine), leaving }
    }),
  }))

function claimants(candidates: readonly Candidate[], partition: number): Candidate[] {
  return candidates.filter(({ claims }) => claims.has(partition))
}

describe('an assignment', () => {
  it('gives no partition to two, and none that is not there', () => {
    fc.assert(
      fc.property(groups, ({ partitions, candidates }) => {
        const all = [...assign(partitions, candidates).given.values()].flat()
        expect(new Set(all).size).toBe(all.length)
        expect(all.every((partition) => partition >= 0 && partition < partitions)).toBe(true)
      }),
    )
  })

  it('gives nobody what another one claims, unless with an older generation', () => {
    fc.assert(
      fc.property(groups, ({ partitions, candidates }) => {
        const { given } = assign(partitions, candidates)
        for (const { id, claims } of candidates) {
          for (const partition of given.get(id)!) {
            const newest = Math.max(...claimants(candidates, partition).map((other) => other.claims.get(partition)!))
            if (newest > Number.NEGATIVE_INFINITY) expect(claims.get(partition)).toBe(newest)
          }
        }
      }),
    )
  })

  it('gives what nobody claims to somebody, while anybody stays', () => {
    fc.assert(
      fc.property(groups, ({ partitions, candidates }) => {
        fc.pre(candidates.some(({ leaving }) => !leaving))
        const all = new Set([...assign(partitions, candidates).given.values()].flat())
        for (let partition = 0; partition < partitions; partition++) {
          expect(all.has(partition) || claimants(candidates, partition).length > 0).toBe(true)
        }
      }),
    )
  })

  it('is even, within one, once everything taken was let go, and then stays as it is', () => {
    fc.assert(
      fc.property(groups, ({ partitions, candidates }) => {
        let staying: readonly Candidate[] = candidates.filter(({ leaving }) => !leaving)
        fc.pre(staying.length > 0)
        for (let generation = 100; generation < 100 + GENERATIONS; generation++) staying = settle(partitions, staying, generation)
        const counts = staying.map(({ claims }) => claims.size)
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(partitions)
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
        expect(settle(partitions, staying, 200)).toEqual(staying)
      }),
    )
  })

  it('takes from nobody who has no more than its share', () => {
    fc.assert(
      fc.property(groups, ({ partitions, candidates }) => {
        const { given } = assign(partitions, candidates)
        const staying = candidates.filter(({ leaving }) => !leaving)
        const share = Math.floor(partitions / Math.max(1, staying.length))
        for (const { id, claims } of staying) {
          const own = [...claims].filter(([partition, generation]) => partition < partitions && claimants(candidates, partition).every((other) => other.id === id || other.claims.get(partition)! < generation))
          if (own.length <= share) expect(given.get(id)).toEqual(expect.arrayContaining(own.map(([partition]) => partition)))
        }
      }),
    )
  })

  it('is the same in whatever order the members are told', () => {
    fc.assert(
      fc.property(groups, ({ partitions, candidates }) => {
        const plan = assign(partitions, candidates)
        const reversed = assign(partitions, candidates.toReversed())
        for (const { id } of candidates) expect(reversed.given.get(id)).toEqual(plan.given.get(id))
        expect(reversed.holders).toEqual(plan.holders)
      }),
    )
  })

  it('takes what a newcomer is to have in one generation and gives it in the next', () => {
    const first = assign(4, [candidate('a', { 0: 1, 1: 1, 2: 2, 3: 3 }), candidate('b')])
    expect([...first.given]).toEqual([['a', [0, 1]], ['b', []]])
    expect([...first.holders.values()]).toEqual(Array.from({ length: 4 }, () => 'name of a'))
    const second = assign(4, [candidate('a', { 0: 1, 1: 1 }), candidate('b')])
    expect([...second.given]).toEqual([['a', [0, 1]], ['b', [2, 3]]])
    expect(second.holders).toEqual(new Map([[0, 'name of a'], [1, 'name of a'], [2, 'name of b'], [3, 'name of b']]))
  })

  it('keeps the one who leads, whoever else comes', () => {
    for (const id of ['a', 'z']) expect(assign(1, [candidate(id), candidate('m', { 0: 7 })]).given.get('m')).toEqual([0])
  })

  it('believes the later of two who claim one partition', () => {
    expect([...assign(1, [candidate('woken', { 0: 5 }), candidate('holder', { 0: 6 })]).given]).toEqual([['holder', [0]], ['woken', []]])
  })

  it('gives nothing more to one who leaves, and lets it close what it has', () => {
    const { given } = assign(3, [candidate('goes', { 0: 1 }, { leaving: true }), candidate('stays')])
    expect([...given]).toEqual([['goes', [0]], ['stays', [1, 2]]])
  })
})
