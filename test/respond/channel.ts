/** The way to the devices, kept in memory: what was published, and what they say. */
import type { Channel } from '../../src/respond/enforcer.ts'

export class MemoryChannel implements Channel {
  readonly published: { readonly topic: string; readonly payload: Record<string, unknown>; readonly retain: boolean }[] = []
  /** Publishes not yet taken by the broker; empty unless `slow`. */
  readonly waiting: (() => void)[] = []
  slow = false
  failure: Error | null = null
  private each: (topic: string, payload: Uint8Array) => Promise<void> = async () => undefined

  async publish(topic: string, payload: string, { retain }: { readonly retain: boolean }): Promise<void> {
    if (this.failure) throw this.failure
    if (this.slow) await new Promise<void>((resolve) => this.waiting.push(resolve))
    this.published.push({ topic, payload: JSON.parse(payload) as Record<string, unknown>, retain })
  }

  receive(each: (topic: string, payload: Uint8Array) => Promise<void>): void {
    this.each = each
  }

  say(topic: string, payload: unknown): Promise<void> {
    return this.each(topic, Buffer.isBuffer(payload) ? payload : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)))
  }
}
