/** The lease's arithmetic: what keeps it, from when it is counted, and that what is over stays over. */
import { describe, expect, it } from 'vitest'
import { Lease } from '../../../src/log/kafka/lease.ts'
import { ManualClock, settle } from '../../clock.ts'

const timing = { sessionMs: 6_000, rebalanceMs: 12_000 }
const answered = { rebalancing: false }
const rebalancing = { rebalancing: true }

async function lease(startMs = 1_000) {
  const clock = new ManualClock()
  await clock.advance(startMs)
  return { clock, lease: new Lease(clock.monotonic(), { clock, timing, what: 'the group test' }) }
}

async function outcome(promise: Promise<void>): Promise<unknown> {
  let met: unknown = 'pending'
  promise.then(
    () => (met = 'resolved'),
    (error: unknown) => (met = error),
  )
  await settle()
  return met
}

describe('a lease', () => {
  it('holds for two thirds of the session from the sending of what was answered last', async () => {
    const { clock, lease: one } = await lease()
    await clock.advance(3_000)
    one.renew(2_500, answered)
    await clock.advance(2_499)
    expect(one.holds).toBe(true)
    await clock.advance(1)
    expect(one.holds).toBe(false)
  })

  it('aborts its signal by itself when it is over', async () => {
    const { clock, lease: one } = await lease()
    await clock.advance(3_999)
    expect(one.signal.aborted).toBe(false)
    await clock.advance(1)
    expect(one.signal.aborted).toBe(true)
  })

  it('is not renewed by an answer read too late, and stays over whatever is answered then', async () => {
    const { clock, lease: one } = await lease()
    await clock.advance(500)
    const sent = clock.monotonic()
    // The process stands still: no timer runs meanwhile.
    const still = Object.assign(Object.create(clock) as ManualClock, { monotonic: () => sent + 4_000 })
    const late = new Lease(1_000, { clock: still, timing, what: 'the group test' })
    late.renew(sent + 3_999, answered)
    expect([late.holds, late.signal.aborted]).toEqual([false, true])
    one.renew(sent, answered)
    expect(one.holds).toBe(true)
  })

  it('never gets shorter by an answer to something sent earlier', async () => {
    const { clock, lease: one } = await lease()
    await clock.advance(2_000)
    one.renew(3_000, answered)
    one.renew(1_500, answered)
    await clock.advance(3_999)
    expect(one.holds).toBe(true)
  })

  it('is kept through a rebalance by heartbeats, but only as long as nobody can have been put out by it', async () => {
    const { clock, lease: one } = await lease()
    for (let n = 0; n < 7; n++) {
      await clock.advance(1_000)
      one.renew(clock.monotonic(), rebalancing)
    }
    await clock.advance(999)
    expect(one.holds).toBe(true)
    await clock.advance(1)
    expect(one.holds).toBe(false)
  })

  it('says no once the broker has', async () => {
    const { lease: one } = await lease()
    one.end()
    expect([one.holds, one.signal.aborted]).toEqual([false, true])
    expect(one.error()).toMatchObject({ code: 'FENCED', retriable: true })
  })

  it('is confirmed by what is sent after the question, not by what was under way', async () => {
    const { clock, lease: one } = await lease()
    const before = clock.monotonic()
    await clock.advance(10)
    const confirmed = one.confirmed()
    one.renew(before, answered)
    expect(await outcome(confirmed)).toBe('pending')
    await clock.advance(10)
    one.renew(clock.monotonic(), rebalancing)
    expect(await outcome(confirmed)).toBe('resolved')
  })

  it('refuses who waits for a confirmation when it ends, and who asks after', async () => {
    const { clock, lease: one } = await lease()
    const confirmed = one.confirmed()
    confirmed.catch(() => {})
    await clock.advance(4_000)
    await expect(confirmed).rejects.toMatchObject({ code: 'FENCED' })
    await expect(one.confirmed()).rejects.toMatchObject({ code: 'FENCED' })
  })

  it('leaves no timer behind', async () => {
    const { clock, lease: one } = await lease()
    one.end()
    expect(clock.pending).toBe(0)
  })
})
