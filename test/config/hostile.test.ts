/** Bad input at the config's door: whatever it is given, it loads or says why not, and does no more work than the size of the text explains. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/problems.ts'

const TEXT_MAX = 1_048_576
/** Characters of any refusal: a hundred lines. */
const MESSAGE_MAX = 100 * 1_000

/** The refusal, or null when it was loaded. Anything else that is thrown stays thrown. */
function refusalOf(text: string, set: readonly string[] = []): ConfigError | null {
  try {
    loadConfig({ file: 'f', text, set, environment: {} })
    return null
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
}

describe('a text made to be dear', () => {
  const bomb = (levels: number, width: number) => {
    const names = Array.from({ length: levels }, (_, level) => `a${level}`)
    return names.map((name, level) => `${name}: &${name} [${Array.from({ length: width }, () => (level === 0 ? '1' : `*a${level - 1}`)).join(', ')}]`).join('\n')
  }

  it.each([
    ['aliases that multiply', bomb(9, 9)],
    ['more aliases than a person writes', `x: &x 1\ny: [${'*x, '.repeat(101)}]`],
    ['aliases of what is long', `x: &x [${'1, '.repeat(20_000)}]\ny: [${'*x, '.repeat(99)}]`],
    ['an alias of what it stands in', 'classes: &c\n  pump: *c'],
    ['lists in lists in lists', '['.repeat(20_000)],
    ['mappings in mappings', '{a: '.repeat(20_000)],
    ['mappings by indentation', Array.from({ length: 600 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['unknown keys without number', Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join('\n')],
    ['classes of unknown keys', `classes:\n${Array.from({ length: 5_000 }, (_, index) => ` c${index}: { bogus: 1 }`).join('\n')}`],
    ['a file too long', '#'.repeat(TEXT_MAX + 1)],
  ])('is refused in few words: %s', (_, text) => {
    const refusal = refusalOf(text)
    expect(refusal).not.toBeNull()
    expect(refusal!.message.length).toBeLessThan(MESSAGE_MAX)
  })

  it.each([
    ['the types of YAML 1.1', '%YAML 1.1\n---\nlisten: !!set { a, b }', /tags are not used here/],
    ['a tag of a program’s own', 'listen: !!js/function "x"', /tags are not used here/],
    ['a merge key', 'classes: { a: &a { warmup: 20 }, b: { <<: *a } }', /classes\.b\.<<: unknown key/],
  ])('may not have %s', (_, text, why) => {
    expect(refusalOf(text)?.message).toMatch(why)
  })

  it('is refused where it is nested deeper than any config, with the place', () => {
    expect(refusalOf(`listen: ${'{a: '.repeat(40)}1${'}'.repeat(40)}`)?.message).toMatch(/f:1:\d+: listen\.a\.[a.]+: is nested deeper than 32 levels/)
  })

  it('is refused where its settings come to more than a record of the log is for', () => {
    const metrics = Array.from({ length: 1_500 }, (_, index) => `m${index}: {}`).join(', ')
    const classes = Array.from({ length: 60 }, (_, index) => `c${index}: {}`).join(', ')
    const text = `classes: { default: { metrics: { ${metrics} } }, ${classes} }`
    expect(refusalOf(text)?.message).toMatch(/^f: its classes, sites and devices come to a record of \d{7} bytes; allowed: at most 4194304; each class counts/)
  })

  it('may say something once and use it again', () => {
    const { classes } = loadConfig({ file: 'f', text: 'classes: { a: &a { warmup: 20 }, b: *a }', environment: {} }).settings
    expect(classes['b']!.warmup).toBe(20)
  })
})

describe('a file', () => {
  function refusalOfFile(bytes: Buffer): string {
    const folder = mkdtempSync(join(tmpdir(), 'picket-config-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'c.yaml')
    writeFileSync(file, bytes)
    try {
      loadConfig({ file, environment: {} })
      return ''
    } catch (error) {
      return (error as Error).message.replace(file, 'c.yaml')
    }
  }

  it('beyond 1 MiB is refused', () => {
    expect(refusalOfFile(Buffer.alloc(TEXT_MAX + 1, '#'))).toBe(`c.yaml: has more than ${TEXT_MAX} bytes; allowed: at most ${TEXT_MAX}`)
    expect(refusalOfFile(Buffer.alloc(TEXT_MAX, '#'))).toBe('')
  })

  it('without end is read no further than that', () => {
    expect(() => loadConfig({ file: '/dev/zero', environment: {} })).toThrow(`/dev/zero: has more than ${TEXT_MAX} bytes`)
  })

  it('that is not UTF-8 is refused', () => {
    expect(refusalOfFile(Buffer.from([0x61, 0xff]))).toBe('c.yaml: is not text in UTF-8')
  })

  it('that is a folder is refused', () => {
    expect(() => loadConfig({ file: 'config', environment: {} })).toThrow(/^config: can't be read \(EISDIR/)
  })
})
