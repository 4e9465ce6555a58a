/** Watches the bytes of one MQTT connection for packets larger than allowed, before anything buffers them. */

/** Longest coding of a packet's remaining length (MQTT 3.1.1, section 2.2.3). */
const LENGTH_BYTES = 4
/** A header's first byte, and the remaining length. */
const HEADER_BYTES = 1 + LENGTH_BYTES

/** Reads packet headers only and skips the rest; remembers where it stands between chunks. */
export class Framing {
  private readonly packetBytes: number
  /** Header bytes of the packet that were seen; 0 between packets. */
  private header = 0
  private length = 0
  /** Bytes of the packet's body still to come. */
  private body = 0

  /** `packetBytes`: most bytes of a packet's body, which is what its remaining length says. */
  constructor(packetBytes: number) {
    this.packetBytes = packetBytes
  }

  /** Why the connection must end, or null. Chunks in the order they came; none after a reason was given. */
  refusalOf(chunk: Uint8Array): string | null {
    let i = 0
    while (i < chunk.length) {
      if (this.body > 0) {
        const skipped = Math.min(this.body, chunk.length - i)
        this.body -= skipped
        i += skipped
        continue
      }
      const byte = chunk[i++]!
      this.header++
      if (this.header === 1) continue
      this.length += (byte & 0x7f) * 128 ** (this.header - 2)
      if (this.length > this.packetBytes) return `packet of at least ${this.length} bytes, at most ${this.packetBytes} are allowed`
      if (byte < 0x80) {
        this.body = this.length
        this.header = 0
        this.length = 0
      } else if (this.header === HEADER_BYTES) return `packet whose length takes more than ${LENGTH_BYTES} bytes`
    }
    return null
  }
}
