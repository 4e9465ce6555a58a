/** Files of a journal on their way into a backup or out of one: copied in pieces, summed, read again and looked through entry by entry. */
import { crc32 } from 'node:zlib'
import { DamageReport } from './damage.ts'
import type { Damage } from './damage.ts'
import { trackName } from './entry.ts'
import type { FilePort, OpenFile } from './files.ts'
import type { BackupFile } from './manifest.ts'
import { recover } from './recovery.ts'
import { scan } from './scan.ts'
import type { Visitor } from './scan.ts'
import { FILE_HEAD_BYTES, fileName, JOURNALS } from './segment.ts'

const PIECE_BYTES = 1024 * 1024

/** The first `bytes` of `from`, or as many as there are, to a new file; durable when it resolves. */
export async function copyFile(from: OpenFile, bytes: number, to: FilePort, name: string): Promise<BackupFile> {
  const file = await to.open(name, 'create')
  try {
    const sum = await sumOf(from, bytes, (piece, at) => file.write(piece, at))
    await file.datasync()
    return { name, ...sum }
  } finally {
    await file.close()
  }
}

/** Length and checksum of a file as it stands. */
export async function checkFile(files: FilePort, name: string): Promise<BackupFile> {
  const file = await files.open(name, 'read')
  try {
    return { name, ...(await sumOf(file, await file.size(), async () => undefined)) }
  } finally {
    await file.close()
  }
}

async function sumOf(file: OpenFile, bytes: number, each: (piece: Uint8Array, at: number) => Promise<void>): Promise<{ bytes: number; crc: number }> {
  const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES)
  let crc = 0
  let at = 0
  while (at < bytes) {
    const have = await file.read(buffer.subarray(0, Math.min(PIECE_BYTES, bytes - at)), at)
    if (have === 0) break
    const piece = buffer.subarray(0, have)
    crc = crc32(piece, crc)
    await each(piece, at)
    at += have
  }
  return { bytes: at, crc }
}

/** Places of a journal that are damaged, every entry looked at; what a write cut short leaves is none. Changes nothing. */
export async function damageIn(files: FilePort): Promise<readonly Damage[]> {
  const report = new DamageReport({})
  const { catalog } = await recover({ files, partitions: 0, report })
  for (const journal of JOURNALS) {
    // Of the ledger the recovery has read every entry.
    if (journal === 'ledger') continue
    for (const { id, end } of catalog.segments(journal)) await scanFile(files, { name: fileName(journal, id), id, end }, report)
  }
  return report.found.filter(({ what }) => what !== 'torn')
}

async function scanFile(files: FilePort, { name, id, end }: { name: string; id: number; end: number }, report: DamageReport): Promise<void> {
  const visitor: Visitor = {
    entry({ head, at, sound }) {
      if (!sound) report.tell({ what: 'entry', file: name, at, detail: `${trackName(head.track)} offset ${head.offset} is damaged` })
      return undefined
    },
    junk: (at, bytes) => report.tell({ what: 'bytes', file: name, at, detail: `${bytes} bytes are no entry` }),
  }
  const file = await files.open(name, 'read')
  try {
    await scan({ file, segment: id, from: FILE_HEAD_BYTES, to: end, visitor })
  } finally {
    await file.close()
  }
}
