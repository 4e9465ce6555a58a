/** A folder into which a backup is being restored is no data folder yet: whoever opens one looks here first. */
import { PipelineError } from '../../core/errors.ts'

/** Name of the folder inside the data folder where a restore gathers its files. */
export const STAGING = 'restore.partial'

/** `names`: of the folder. Throws BAD_CONFIG while a restore is under way there, or after one that was killed. */
export function checkRestored(names: readonly string[], folder: string): void {
  if (!names.includes(STAGING)) return
  throw new PipelineError('BAD_CONFIG', `${folder} is half restored from a backup: let picket restore run to its end, or run it again`)
}
