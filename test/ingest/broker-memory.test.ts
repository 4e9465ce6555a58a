/** What the broker remembers of QoS 2 exchanges, and no longer than their connection lasts. */
import type { Client } from 'aedes'
import { describe, expect, it } from 'vitest'
import { BrokerMemory } from '../../src/ingest/broker-memory.ts'

const client = (closed: boolean) => ({ id: 'c', closed }) as Client
const packet = { messageId: 4 }

describe('a QoS 2 exchange', () => {
  it('is known until it is released', async () => {
    const memory = new BrokerMemory(1)
    await memory.incomingStorePacket(client(false), packet)
    await expect(memory.incomingGetPacket(client(false), packet)).resolves.toBe(packet)
    await memory.incomingDelPacket(client(false), packet)
    await expect(memory.incomingGetPacket(client(false), packet)).rejects.toThrow('no such packet')
  })

  it('is forgotten with its connection', async () => {
    const memory = new BrokerMemory(1)
    await memory.incomingStorePacket(client(false), packet)
    await memory.cleanIncoming(client(false))
    await expect(memory.incomingGetPacket(client(false), packet)).rejects.toThrow('no such packet')
  })

  it('does not begin after its connection ended', async () => {
    await expect(new BrokerMemory(1).incomingStorePacket(client(true), packet)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
