/** Compressed batches: written by kafkajs with our codecs to real Kafkas, and read by our own decoder. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CompressionTypes } from 'kafkajs'
import { checkCompression, compressionType, decompress } from '../../../src/log/kafka/codecs.ts'
import { openFeeds } from '../../../src/log/kafka/feeds.ts'
import type { Feeds } from '../../../src/log/kafka/feeds.ts'
import { COMPRESSIONS } from '../../../src/log/kafka/options.ts'
import { withKafka } from '../../parts/suites.ts'
import { never, ReadingRig, take, values } from './reading-rig.ts'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const HAS_ZSTD = major > 22 || (major === 22 && minor >= 15)

withKafka('batches compressed by', (kafka) => {
  let rig: ReadingRig
  let feeds: Feeds

  beforeAll(async () => {
    rig = await ReadingRig.open(kafka.brokers)
    feeds = openFeeds(rig.options)
    rig.onClose(() => feeds.close())
    await rig.make('readings', { partitions: COMPRESSIONS.length })
  })

  afterAll(() => rig.close())

  const there = COMPRESSIONS.filter((compression) => HAS_ZSTD || compression !== 'zstd')

  const each = there.map((compression, partition) => ({ compression, partition }))

  it.each(each)('$compression are read as they were written', async ({ compression, partition }) => {
    const written = ['a', 'b'.repeat(200_000), 'c']
    await rig.write('readings', written, { partition, compression: compressionType(compression) })
    const slices = await take(feeds.open('readings', partition, 0), 3)
    expect(values(slices.flatMap(({ records }) => records))).toEqual(written)
    // From the middle of a batch on.
    expect((await feeds.open('readings', partition, 2).next(never))!.records.map(({ offset }) => offset)).toEqual([2])
  })
})

describe('a codec', () => {
  it.runIf(!HAS_ZSTD)('that this Node lacks is refused with the config, and when met in the log', async () => {
    const said = expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringContaining('zstd needs Node 22.15') })
    expect(() => checkCompression('zstd')).toThrow(said)
    await expect(decompress(CompressionTypes.ZSTD, Buffer.from('x'))).rejects.toEqual(said)
  })

  it('that there is passes the check', () => {
    for (const compression of ['none', 'gzip', 'lz4'] as const) expect(() => checkCompression(compression)).not.toThrow()
  })

  it('that Picket does not read is named', async () => {
    const said = { code: 'BAD_CONFIG', message: expect.stringContaining('compressed by snappy') }
    await expect(decompress(CompressionTypes.Snappy, Buffer.from('x'))).rejects.toMatchObject(said)
  })

  it.each(['gzip', 'lz4'] as const)('of %s says so when the bytes are damaged', async (compression) => {
    const said = { code: 'BAD_RECORD', message: `a batch of 9 bytes is no ${compression}: it is damaged` }
    await expect(decompress(compressionType(compression), Buffer.from('not of it'))).rejects.toMatchObject(said)
  })
})
