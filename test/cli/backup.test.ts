/** `picket backup` and `picket restore`: what they say, and how they end. */
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import type { BackupSummary } from '../../src/cli/backups.ts'
import { PipelineError } from '../../src/core/errors.ts'
import { aConfig, makeLab } from './lab.ts'

const summary: BackupSummary = { files: 12, bytes: 3.5 * 1024 * 1024, made: Date.UTC(2026, 0, 2, 3, 4, 5), damaged: [] }
const config = () => aConfig('log: { embedded: { path: some/data } }\n')

function labOf(answer: () => Promise<BackupSummary>) {
  const asked: string[][] = []
  const verb = async (from: string, to: string) => {
    asked.push([from, to])
    return answer()
  }
  return { ...makeLab({ backups: { backUp: verb, restore: verb } }), asked }
}

test('backup copies the data folder of the configuration, and says so in one line', async () => {
  const { run, asked } = labOf(async () => summary)
  const { code, stdout, stderr } = await run('backup', 'monday', '--config', config())
  expect([code, stderr, asked]).toEqual([0, '', [['some/data', 'monday']]])
  expect(stdout).toBe(`backed up 12 files (3.5 MiB) of ${resolve('some/data')} as flushed at 2026-01-02T03:04:05.000Z to ${resolve('monday')}, checksums verified\n`)
})

test('restore fills the data folder of the configuration, and says so in one line', async () => {
  const { run, asked } = labOf(async () => summary)
  const { code, stdout } = await run('restore', 'monday', '--config', config(), '--set', 'log.embedded.path=other')
  expect([code, asked]).toEqual([0, [['monday', 'other']]])
  expect(stdout).toBe(`restored 12 files (3.5 MiB) as of 2026-01-02T03:04:05.000Z from ${resolve('monday')} to ${resolve('other')}, checksums verified\n`)
})

test('damage that was there before is named; of a backup it is the exit code, too', async () => {
  const place = { what: 'entry', file: 'bulk-0000000001.seg', at: 7, detail: 'readings/0 offset 1 is damaged' }
  const damaged = Array.from({ length: 25 }, (_, at) => ({ ...place, at }))
  const { run } = labOf(async () => ({ ...summary, damaged }))
  const backup = await run('backup', 'monday', '--config', config())
  expect(backup.code).toBe(1)
  expect(backup.stderr).toContain('damaged: bulk-0000000001.seg at byte 7: readings/0 offset 1 is damaged\n')
  expect(backup.stderr).toContain('damaged: 5 more places\n')
  expect(backup.stderr).toContain('the backup was made, but 25 places were damaged')
  expect((await run('restore', 'monday', '--config', config())).code).toBe(0)
})

test.each([
  ['BAD_CONFIG', 2],
  ['LOCKED', 1],
  ['BAD_RECORD', 1],
  ['DISK_FULL', 1],
] as const)('what fails with %s is said on stderr and ends with %i', async (error, expected) => {
  const { run } = labOf(async () => Promise.reject(new PipelineError(error, 'why it failed')))
  for (const verb of ['backup', 'restore']) {
    const { code, stderr } = await run(verb, 'monday', '--config', config())
    expect([code, stderr]).toEqual([expected, expect.stringContaining('why it failed')])
  }
})

test('a folder has to be named', async () => {
  const { run } = labOf(async () => summary)
  expect([(await run('backup', '--config', config())).code, (await run('restore', '--config', config())).code]).toEqual([2, 2])
})
