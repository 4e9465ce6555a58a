/** A process that writes to a journal until it is killed: `child.mjs FOLDER FIRST`; a line on stdout for each commit that resolved. */
import { writeSync } from 'node:fs'
import { openJournal } from '../../../src/log/journal/journal.ts'
import { systemClock } from '../../../src/ops/clock.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { pagesOf, SMALL_FILES } from './pages.ts'

const STDOUT = 1
const [folder = '', first = ''] = process.argv.slice(2)

const journal = await openJournal({ path: folder, partitions: 1, key: 'device', clock: systemClock, random: systemRandom, ...SMALL_FILES })
await journal.consume(async (owned) => {
  await owned.restore(() => undefined)
  for (let n = Number(first); ; n++) {
    await journal.append('readings', 0, [{ key: '', value: Buffer.from(`frame ${n}`) }])
    await journal.append('incidents', 0, [{ key: '', value: Buffer.from(`incident ${n}`) }])
    await owned.commit(pagesOf(n), { next: new Map([['readings/0', n]]), incarnation: 'i' })
    writeSync(STDOUT, `${n}\n`)
  }
}, new AbortController().signal)
