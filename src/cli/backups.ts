/** Port: backups of the data folder, as `backup` and `restore` need them. The journal stands behind it. */
import type { LogDamage } from './log-reader.ts'

/** What a backup has, or had when it was restored. */
export interface BackupSummary {
  readonly files: number
  readonly bytes: number
  /** When it was made, ms since epoch. */
  readonly made: number
  /** Places of the data folder that were damaged when it was made. */
  readonly damaged: readonly LogDamage[]
}

export interface Backups {
  /** Copies the data folder `from` as it stands, beside a running Picket. Throws BAD_CONFIG, DISK_FULL, IO. */
  backUp(from: string, to: string): Promise<BackupSummary>
  /** Makes `to` a data folder. Throws BAD_CONFIG, LOCKED, BAD_RECORD for a damaged backup, DISK_FULL, IO. */
  restore(from: string, to: string): Promise<BackupSummary>
}
