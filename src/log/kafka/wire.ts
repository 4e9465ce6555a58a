/** Kafka's bytes: the fields of its requests and answers, big-endian as the protocol guide has them, and the varints of its records. */

const TWO_32 = 2 ** 32

/** Reads fields in order; past the end it throws RangeError. */
export class WireReader {
  readonly bytes: Buffer
  at: number

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  int8(): number {
    return this.bytes.readInt8(this.#step(1))
  }

  int16(): number {
    return this.bytes.readInt16BE(this.#step(2))
  }

  int32(): number {
    return this.bytes.readInt32BE(this.#step(4))
  }

  /** Exact up to 2^53: no offset or time comes near. */
  int64(): number {
    return this.int32() * TWO_32 + this.bytes.readUInt32BE(this.#step(4))
  }

  /** '' for null. */
  string(): string {
    const length = this.int16()
    if (length <= 0) return ''
    const at = this.#step(length)
    return this.bytes.toString('utf8', at, at + length)
  }

  /** Empty for null. A view, no copy. */
  block(): Buffer {
    const length = this.int32()
    if (length <= 0) return this.bytes.subarray(0, 0)
    const at = this.#step(length)
    return this.bytes.subarray(at, at + length)
  }

  /** Empty for null. */
  array<T>(one: () => T): T[] {
    const items: T[] = []
    for (let left = this.int32(); left > 0; left--) items.push(one())
    return items
  }

  /** Zigzag, of up to 64 bits; exact up to 2^53. */
  varint(): number {
    let byte = this.bytes.readUInt8(this.at++)
    let raw = byte & 0x7f
    let scale = 128
    while (byte & 0x80) {
      byte = this.bytes.readUInt8(this.at++)
      raw += (byte & 0x7f) * scale
      scale *= 128
    }
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
  }

  #step(length: number): number {
    const at = this.at
    this.at += length
    if (this.at > this.bytes.length) throw new RangeError(`${length} bytes at ${at} of ${this.bytes.length}`)
    return at
  }
}

/** The fields of a request, to be joined at the end: requests are small. */
export class WireWriter {
  readonly #parts: Buffer[] = []

  int8(value: number): this {
    return this.#push(1, (part) => part.writeInt8(value))
  }

  int16(value: number): this {
    return this.#push(2, (part) => part.writeInt16BE(value))
  }

  int32(value: number): this {
    return this.#push(4, (part) => part.writeInt32BE(value))
  }

  int64(value: number): this {
    return this.#push(8, (part) => part.writeBigInt64BE(BigInt(value)))
  }

  string(value: string): this {
    const bytes = Buffer.from(value, 'utf8')
    this.int16(bytes.length)
    this.#parts.push(bytes)
    return this
  }

  array<T>(items: readonly T[], one: (item: T) => void): this {
    this.int32(items.length)
    for (const item of items) one(item)
    return this
  }

  done(): Buffer {
    return Buffer.concat(this.#parts)
  }

  #push(length: number, write: (part: Buffer) => void): this {
    const part = Buffer.alloc(length)
    write(part)
    this.#parts.push(part)
    return this
  }
}
