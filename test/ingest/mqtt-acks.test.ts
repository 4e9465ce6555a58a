/** In which order, when, and in how many writes a connection's messages are acknowledged. */
import { describe, expect, it } from 'vitest'
import { Acks, PUBACK, PUBREC } from '../../src/ingest/mqtt-acks.ts'
import { settle } from '../clock.ts'

function makeAcks() {
  const writes: string[] = []
  let settled = 0
  const acks = new Acks((bytes) => writes.push(bytes.toString('hex')), () => void settled++)
  return { acks, writes, settledTimes: () => settled }
}

describe('acknowledgements', () => {
  it('are the bytes of PUBACK and PUBREC', async () => {
    const { acks, writes } = makeAcks()
    acks.durable(acks.owe(PUBACK, 0x0102))
    await settle()
    acks.durable(acks.owe(PUBREC, 0xffff))
    await settle()
    expect(writes).toEqual(['40020102', '5002ffff'])
  })

  it('of what became durable in one turn go in one write', async () => {
    const { acks, writes } = makeAcks()
    const owed = [1, 2, 3].map((id) => acks.owe(PUBACK, id))
    for (const one of owed) acks.durable(one)
    await settle()
    expect(writes).toEqual(['400200014002000240020003'])
  })

  it('are given in the order the messages came, whichever is durable first', async () => {
    const { acks, writes } = makeAcks()
    const [first, second, third] = [1, 2, 3].map((id) => acks.owe(PUBACK, id))
    acks.durable(third!)
    acks.durable(second!)
    await settle()
    expect(writes).toEqual([])
    acks.durable(first!)
    await settle()
    expect(writes).toEqual(['400200014002000240020003'])
  })

  it('are not given on a connection that is over: its ids may be others’ by now', async () => {
    const { acks, writes } = makeAcks()
    const [before, after] = [acks.owe(PUBACK, 1), acks.owe(PUBACK, 2)]
    acks.durable(before)
    acks.close()
    acks.durable(after)
    await settle()
    expect(writes).toEqual([])
    expect(acks.owed).toBe(0)
  })

  it('leave count of what is owed, however many come and go', async () => {
    const { acks, writes, settledTimes } = makeAcks()
    for (let round = 0; round < 50; round++) {
      const owed = Array.from({ length: 10 }, (_, i) => acks.owe(PUBACK, round * 10 + i + 1))
      for (const one of owed.slice(0, 7)) acks.durable(one)
      await settle()
      for (const one of owed.slice(7)) acks.durable(one)
      await settle()
      expect(acks.owed).toBe(0)
    }
    expect(settledTimes()).toBe(100)
    const ids = writes.join('').match(/.{8}/g)!.map((hex) => parseInt(hex.slice(4), 16))
    expect(ids).toEqual(Array.from({ length: 500 }, (_, i) => i + 1))
  })
})
