/** The credentials file: read as mosquitto_passwd writes it, refused with its line. */
import { pbkdf2Sync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCredentials, readCredentials } from '../../src/ingest/credentials.ts'

/** Written by `mosquitto_passwd -b FILE pump-7 secret` of Mosquitto 2.0.11. */
const MOSQUITTO = 'pump-7:$7$101$qy9OOsnWSgfxGKoG$kCv+u4OkEWXBPb7Piq2VH22TgNoNsAVOwWiwwKygDxeKxLWO9WNbrV7CSm9G9V9R4FyGD8MsBIFnMM64lIehDQ==\n'

const verify = async (text: string, user: string, password: string) => (await parseCredentials(text, 'passwords').verify(user, Buffer.from(password))) !== null
/** What a gateway of these devices may be. */
const gateway = async (devices: string) => (await parseCredentials(`${MOSQUITTO.trimEnd()}:${devices}`, 'passwords').verify('pump-7', Buffer.from('secret')))!

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
    expect((await Promise.all(answers)).map((account) => account?.name)).toEqual(['pump-7', undefined, 'pump-7', undefined, 'pump-7'])
  })

  it.each([
    ['', 'names no user'],
    ['pump-7', 'line 1: expected user:'],
    [':$7$1$YQ==$YQ==', 'line 1: expected user:'],
    [`${MOSQUITTO}pump-8:plain`, 'line 2: expected $7$'],
    ['pump-7:$6$YQ==$YQ==', 'expected $7$'],
    ['pump-7:$7$0$YQ==$YQ==', 'expected $7$'],
    ['pump-7:$7$101$YQ==$YQ==', 'the hash has 1 bytes, expected 64'],
    ['pump-7:$7$99999999$YQ==$YQ==', 'expected $7$'],
    [MOSQUITTO + MOSQUITTO, 'line 2: user "pump-7" stands here twice'],
    [`${MOSQUITTO.trimEnd()}:`, 'line 1: the devices of "pump-7" have an empty name; expected names such as pump-*'],
    [`${MOSQUITTO.trimEnd()}:a,,b`, 'have an empty name'],
    [`${MOSQUITTO.trimEnd()}:${'a,'.repeat(64)}a`, '65 device names of "pump-7", at most 64 are allowed'],
    [`${MOSQUITTO.trimEnd()}:${'a'.repeat(1025)}`, 'a device name of 1025 characters, at most 1024 are allowed'],
  ])('%j is refused', (text, why) => {
    expect(() => parseCredentials(text, 'passwords')).toThrow(expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringContaining(why) as string }))
  })

  it('lets a user be the device of its name and no other', async () => {
    const account = await parseCredentials(MOSQUITTO, 'passwords').verify('pump-7', Buffer.from('secret'))
    expect([account!.isGateway, account!.mayBe('pump-7'), account!.mayBe('pump-8')]).toEqual([false, true, false])
  })

  it.each([
    ['valve-*, meter-1', ['pump-7', 'valve-', 'valve-9/a', 'meter-1'], ['pump-8', 'valve', 'meter-11', 'xvalve-1']],
    ['*', ['', 'anything'], []],
    ['a*b*c', ['abc', 'a/b/b/c'], ['ac', 'abcd', 'acb', 'ab']],
    ['a*a', ['aa', 'aba'], ['a']],
    ['v.1', ['v.1'], ['vx1']],
  ])('lets a gateway of %s be those and itself', async (devices, yes, no) => {
    const { isGateway, mayBe } = await gateway(devices)
    expect([isGateway, yes.filter(mayBe), no.filter(mayBe)]).toEqual([true, yes, []])
  })

  it('takes * for any characters, as a regular expression would', async () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(letters, fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 }), { maxLength: 20 }), async (devices, names) => {
        const { mayBe } = await gateway(devices)
        const expected = new RegExp(`^${devices.replaceAll('*', '.*')}$`)
        expect(names.filter(mayBe)).toEqual(names.filter((name) => expected.test(name)))
      }),
    )
  })

  it('that is not there is refused by its name', async () => {
    await expect(readCredentials('/no/such/file')).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('/no/such/file') as string })
  })
})
