/** Avro's arrays and maps, that stop where the bytes end: `schema.ts` reads with them, so that a damaged length is an error and not a full memory. */
/* oxlint-disable eslint/no-underscore-dangle -- avsc gives its types no other way to read an item */
import avro from 'avsc'

/** What of avsc's place in the bytes is used here. */
interface Tap {
  readonly buf: Uint8Array
  readonly pos: number
  readLong(): number
  skipLong(): void
  readString(): string
}

interface Readable {
  _read(tap: Tap): unknown
}

/** Calls `each` once an item; items of ours have at least a byte, so that what lies past the end is none. The caller then finds the record cut short. */
function readBlocks(tap: Tap, each: () => void): void {
  for (let left = tap.readLong(); left !== 0; left = tap.readLong()) {
    if (left < 0) {
      left = -left
      tap.skipLong()
    }
    for (; left > 0; left--) {
      each()
      if (tap.pos > tap.buf.length) return
    }
  }
}

class BoundedArray extends avro.types.ArrayType {
  _read(this: { readonly itemsType: Readable }, tap: Tap): unknown[] {
    const items: unknown[] = []
    readBlocks(tap, () => items.push(this.itemsType._read(tap)))
    return items
  }
}

class BoundedMap extends avro.types.MapType {
  _read(this: { readonly valuesType: Readable }, tap: Tap): Record<string, unknown> {
    const values: Record<string, unknown> = {}
    readBlocks(tap, () => {
      const key = tap.readString()
      values[key] = this.valuesType._read(tap)
    })
    return values
  }
}

/** avsc's `typeHook`: asked for each part of a schema; undefined leaves it to avsc. */
export function boundedType(schema: avro.Schema, options: unknown): avro.Type | undefined {
  const type = schema !== null && typeof schema === 'object' && 'type' in schema ? schema.type : undefined
  if (type === 'array') return new BoundedArray(schema, options)
  if (type === 'map') return new BoundedMap(schema, options)
  return undefined
}
