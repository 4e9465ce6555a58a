/** Compression of record batches: what kafkajs lacks of lz4 and zstd, for its producers and for our own reading. */
import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import kafkajs, { CompressionTypes } from 'kafkajs'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { PipelineError } from '../../core/errors.ts'
import type { Compression } from './options.ts'

/** A batch of at most 1 MiB as it lies in the log is never larger than this: what claims to be is damaged. */
const LARGEST_BATCH = 256 * 1024 * 1024

const TYPES: Readonly<Record<Compression, CompressionTypes>> = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

const gunzip = promisify(zlib.gunzip)

type ZstdCallback = (error: Error | null, result: Buffer) => void

/** Node's zstd: there from 22.15 on, and in the types of no Node that we support. */
interface Zstd {
  zstdCompress(bytes: Uint8Array, done: ZstdCallback): void
  zstdDecompress(bytes: Uint8Array, options: { maxOutputLength: number }, done: ZstdCallback): void
}

function nodeZstd(): Zstd | null {
  const found = zlib as unknown as Partial<Zstd>
  return found.zstdCompress && found.zstdDecompress ? (found as Zstd) : null
}

const NO_ZSTD = `zstd needs Node 22.15 or later, this is ${process.version}`

/** Throws BAD_CONFIG when this Node can't compress so; to be asked when the config is read. */
export function checkCompression(compression: Compression): void {
  if (compression === 'zstd' && !nodeZstd()) {
    throw new PipelineError('BAD_CONFIG', `log.kafka.compression zstd: ${NO_ZSTD}: set lz4 or gzip`)
  }
}

/** kafkajs's number for `compression`, for `Broker.produce` and `send`. */
export function compressionType(compression: Compression): CompressionTypes {
  return TYPES[compression]
}

interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>
  decompress(bytes: Buffer): Promise<Buffer>
}

/** What kafkajs lacks; for the whole process, and again does nothing. */
export function registerCodecs(): void {
  const lz4: Codec = {
    compress: async ({ buffer }) => compressFrameSync(buffer),
    decompress: async (bytes) => decompressFrameSync(bytes),
  }
  const zstd: Codec = {
    compress: ({ buffer }) => zstdOf((node, done) => node.zstdCompress(buffer, done)),
    decompress: unzstd,
  }
  // Node does not see this one among the names that kafkajs exports.
  const { CompressionCodecs } = kafkajs
  CompressionCodecs[CompressionTypes.LZ4] = () => lz4
  CompressionCodecs[CompressionTypes.ZSTD] = () => zstd
}

/**
 * The records of a batch compressed by `type`, kafkajs's number (0 to 4). lz4 at once, as it takes less than handing it to another
 * thread would. Throws BAD_CONFIG for what this process has no codec for, BAD_RECORD for what is damaged.
 */
export async function decompress(type: number, bytes: Buffer): Promise<Buffer> {
  try {
    switch (type) {
      case CompressionTypes.None:
        return bytes
      case CompressionTypes.GZIP:
        return await gunzip(bytes, { maxOutputLength: LARGEST_BATCH })
      case CompressionTypes.LZ4:
        return decompressFrameSync(bytes)
      case CompressionTypes.ZSTD:
        return await unzstd(bytes)
      default:
    }
  } catch (error) {
    if (error instanceof PipelineError) throw error
    throw new PipelineError('BAD_RECORD', `a batch of ${bytes.length} bytes is no ${nameOf(type)}: it is damaged`, { cause: error })
  }
  const name = nameOf(type)
  throw new PipelineError('BAD_CONFIG', `a batch is compressed by ${name}, which Picket does not read: write gzip, lz4 or zstd`)
}

function nameOf(type: number): string {
  return (Object.entries(CompressionTypes).find(([, value]) => value === type)?.[0] ?? `codec ${type}`).toLowerCase()
}

function unzstd(bytes: Buffer): Promise<Buffer> {
  return zstdOf((node, done) => node.zstdDecompress(bytes, { maxOutputLength: LARGEST_BATCH }, done))
}

function zstdOf(run: (node: Zstd, done: ZstdCallback) => void): Promise<Buffer> {
  const node = nodeZstd()
  if (!node) {
    const text = `a batch is compressed by zstd: ${NO_ZSTD}; or have it written as lz4 or gzip`
    return Promise.reject(new PipelineError('BAD_CONFIG', text))
  }
  return new Promise((resolve, reject) => run(node, (error, result) => (error ? reject(error) : resolve(result))))
}
