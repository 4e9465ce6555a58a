/**
 * Loaded before Picket (`node --import`) where no small file system can be mounted: while the file FULL_DISK names is there, writes to
 * files below its folder have so many bytes of room as it says, and then end with ENOSPC; what is deleted gives its room back.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const BLOCK = 4096
const flag = process.env['FULL_DISK'] ?? ''
let left = Infinity

function look() {
  if (!existsSync(flag)) left = Infinity
  else if (left === Infinity) left = Number(readFileSync(flag, 'utf8'))
}

const probe = await promises.open(new URL(import.meta.url), 'r')
const FileHandle = Object.getPrototypeOf(probe)
await probe.close()

const { write } = FileHandle
FileHandle.write = async function (bytes, from, length, at) {
  look()
  left -= length
  if (left >= 0) return write.call(this, bytes, from, length, at)
  left = 0
  throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
}

const { unlink, statfs } = promises
promises.unlink = async (path) => {
  const bytes = existsSync(path) ? statSync(path).size : 0
  await unlink(path)
  left += bytes
}
promises.statfs = async (path) => {
  look()
  return left === Infinity ? statfs(path) : { bavail: Math.floor(left / BLOCK), bsize: BLOCK }
}
syncBuiltinESMExports()
