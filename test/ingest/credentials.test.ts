/** The credentials file: read as mosquitto_passwd writes it, refused with its line. */
import { pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { parseCredentials, readCredentials } from '../../src/ingest/credentials.ts'

/** Written by `mosquitto_passwd -b FILE pump-7 secret` of Mosquitto 2.0.11. */
const MOSQUITTO = 'pump-7:$7$101$qy9OOsnWSgfxGKoG$kCv+u4OkEWXBPb7Piq2VH22TgNoNsAVOwWiwwKygDxeKxLWO9WNbrV7CSm9G9V9R4FyGD8MsBIFnMM64lIehDQ==\n'

const verify = (text: string, user: string, password: string) => parseCredentials(text, 'passwords').verify(user, Buffer.from(password))

describe('a credentials file', () => {
  it('lets a user in whose password mosquitto_passwd hashed', async () => {
    expect(await verify(MOSQUITTO, 'pump-7', 'secret')).toBe(true)
  })

  it.each([['pump-7', 'Secret'], ['pump-7', ''], ['pump-8', 'secret'], ['', 'secret']])('keeps out %j with %j', async (user, password) => {
    expect(await verify(MOSQUITTO, user, password)).toBe(false)
  })

  it('may have many users, comments, empty lines, and names with a slash', async () => {
    const hash = pbkdf2Sync('p', 'salt', 1, 64, 'sha512').toString('base64')
    const text = `# devices\r\n\r\n${MOSQUITTO}leeds/7:$7$1$${Buffer.from('salt').toString('base64')}$${hash}`
    expect(parseCredentials(text, 'passwords').users).toBe(2)
    expect(await verify(text, 'leeds/7', 'p')).toBe(true)
  })

  it('answers many at once, each with its own', async () => {
    const credentials = parseCredentials(MOSQUITTO, 'passwords')
    const answers = ['secret', 'no', 'secret', 'no', 'secret'].map((password) => credentials.verify('pump-7', Buffer.from(password)))
    expect(await Promise.all(answers)).toEqual([true, false, true, false, true])
  })

  it.each([
    ['', 'names no user'],
    ['pump-7', 'line 1: expected user:'],
    [':$7$1$YQ==$YQ==', 'line 1: expected user:'],
    [`${MOSQUITTO}pump-8:plain`, 'line 2: expected $7$'],
    ['pump-7:$6$YQ==$YQ==', 'expected $7$'],
    ['pump-7:$7$0$YQ==$YQ==', 'expected $7$'],
    ['pump-7:$7$101$YQ==$YQ==', 'the hash has 1 bytes, expected 64'],
    [MOSQUITTO + MOSQUITTO, 'line 2: user "pump-7" stands here twice'],
  ])('%j is refused', (text, why) => {
    expect(() => parseCredentials(text, 'passwords')).toThrow(expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringContaining(why) as string }))
  })

  it('that is not there is refused by its name', async () => {
    await expect(readCredentials('/no/such/file')).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('/no/such/file') as string })
  })
})
