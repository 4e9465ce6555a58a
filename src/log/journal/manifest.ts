/** What a backup says of itself: its files, their lengths and checksums. Written last, so that a folder with it is whole. */
import { PipelineError } from '../../core/errors.ts'
import type { FilePort } from './files.ts'
import { isSegment } from './segment.ts'

const NAME = 'backup.json'
const FORMAT = 1
const MOST_BYTES = 16 * 1024 * 1024
const MOST_FILES = 100_000

export interface BackupFile {
  readonly name: string
  readonly bytes: number
  /** CRC-32 of all of it. */
  readonly crc: number
}

export interface Manifest {
  /** When the backup was made, ms since epoch. */
  readonly made: number
  readonly files: readonly BackupFile[]
}

export async function writeManifest(files: FilePort, { made, files: list }: Manifest): Promise<void> {
  const file = await files.open(NAME, 'create')
  try {
    await file.write(Buffer.from(`${JSON.stringify({ format: FORMAT, made, files: list }, null, 1)}\n`), 0)
    await file.datasync()
  } finally {
    await file.close()
  }
  await files.syncFolder()
}

/** Throws BAD_CONFIG for a folder that is no whole backup, or one of a newer Picket. */
export async function readManifest(files: FilePort): Promise<Manifest> {
  const { folder } = files
  const names = await files.list()
  if (!names.includes(NAME)) throw new PipelineError('BAD_CONFIG', `${folder} is no backup, or one that was not finished: it has no ${NAME}; name a folder that picket backup made`)
  const manifest = parseManifest(await readText(files))
  if (manifest === 'newer') throw new PipelineError('BAD_CONFIG', `${folder}/${NAME} was written by a newer Picket: use that to restore it`)
  if (manifest === null) throw new PipelineError('BAD_CONFIG', `${folder}/${NAME} is damaged: use another backup`)
  return manifest
}

async function readText(files: FilePort): Promise<string> {
  const file = await files.open(NAME, 'read')
  try {
    const bytes = Buffer.alloc(Math.min(await file.size(), MOST_BYTES))
    return bytes.toString('utf8', 0, await file.read(bytes, 0))
  } finally {
    await file.close()
  }
}

/** Null for what is no manifest. */
export function parseManifest(text: string): Manifest | 'newer' | null {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null) return null
  const { format, made, files } = value as Record<string, unknown>
  if (typeof format === 'number' && format > FORMAT) return 'newer'
  if (format !== FORMAT || !isCount(made) || !Array.isArray(files) || files.length > MOST_FILES || !files.every(isFile)) return null
  const names = new Set(files.map(({ name }) => name))
  return names.size === files.length ? { made, files: files.map(({ name, bytes, crc }) => ({ name, bytes, crc })) } : null
}

/** Names of the journal only: none leads out of the folder. */
function isFile(value: unknown): value is BackupFile {
  if (typeof value !== 'object' || value === null) return false
  const { name, bytes, crc } = value as Record<string, unknown>
  return typeof name === 'string' && isSegment(name) && isCount(bytes) && isCount(crc)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
