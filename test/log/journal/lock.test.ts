/** The lock on a journal's folder: held by one, left by the dead, fought over by many. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { lockFolder as lockWith } from '../../../src/log/journal/lock.ts'
import { systemRandom } from '../../../src/ops/random.ts'

const folders: string[] = []

const lockFolder = (folder: string) => lockWith(folder, systemRandom.id())

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'picket-lock-'))
  folders.push(folder)
  return folder
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** As a process that was killed leaves it: its socket is gone. */
const dead = (token: string) => JSON.stringify({ pid: process.pid, host: 'elsewhere', token, socket: `lock-${token}.sock` })

describe('a folder', () => {
  it('that is held is refused to a second, by its name and the holder’s number', async () => {
    const folder = makeFolder()
    const { release } = await lockFolder(folder)
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'LOCKED', message: expect.stringMatching(new RegExp(`${folder}.*process ${process.pid}`)) })
    await release()
  })

  it('that was let go can be had, and nothing is left in it', async () => {
    const folder = makeFolder()
    await (await lockFolder(folder)).release()
    await (await lockFolder(folder)).release()
    expect(readdirSync(folder)).toEqual([])
  })

  it('whose holder died is taken over, whatever process has its number now', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder, 'lock'), dead('dead1'))
    const { release } = await lockFolder(folder)
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'LOCKED' })
    await release()
  })

  it('whose holder died, and he who was about to take it over too, is taken over', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder, 'lock'), dead('dead1'))
    writeFileSync(join(folder, 'lock.dead1'), dead('dead2'))
    await (await lockFolder(folder)).release()
    expect(readdirSync(folder)).toEqual([])
  })

  it('with half a lock in it, from a power cut, is taken over', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder, 'lock'), '{"pid": 12')
    await (await lockFolder(folder)).release()
  })

  it('that twenty find dead at once goes to one of them', async () => {
    for (let round = 0; round < 10; round++) {
      const folder = makeFolder()
      writeFileSync(join(folder, 'lock'), dead('dead1'))
      const tries = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(folder)))
      const winners = tries.filter((one) => one.status === 'fulfilled')
      expect(winners.length).toBe(1)
      for (const one of tries) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'LOCKED' })
      for (const { value } of winners) await value.release()
    }
  })

  it('is held no longer once it was deleted or begun anew, and letting go leaves the next holder’s lock alone', async () => {
    const folder = makeFolder()
    const first = await lockFolder(folder)
    expect(await first.isOurs()).toBe(true)
    rmSync(folder, { recursive: true })
    expect(await first.isOurs()).toBe(false)
    mkdirSync(folder)
    const second = await lockFolder(folder)
    expect(await first.isOurs()).toBe(false)
    await first.release()
    expect(await second.isOurs()).toBe(true)
    await second.release()
  })

  it('too deep for a socket is locked all the same', async () => {
    const folder = mkdtempSync(join(makeFolder(), 'x'.repeat(120)))
    const { release } = await lockFolder(folder)
    expect(readdirSync(folder)).toEqual(['lock'])
    await release()
  })
})
