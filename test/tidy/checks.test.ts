/** Each tidy check catches what is planted for it, names the place and the remedy, and lets the right thing pass. */
import { describe, expect, it } from 'vitest'
import { checkBans } from './bans.ts'
import { checkExports } from './exports.ts'
import { checkImports } from './imports.ts'
import { checkFunctions, checkLengths, checkOpenings } from './shape.ts'
import type { SourceFile } from './source.ts'
import { checkChangelog, checkMachinePaths, checkRegistries } from './texts.ts'

const file = (path: string, ...lines: string[]): SourceFile => ({ path, text: lines.join('\n') })
const lines = (count: number, line = 'f()') => Array.from({ length: count }, () => line)

describe('imports', () => {
  it.each([
    [
      'core imports nobody',
      file('src/core/a.ts', '', "import { x } from '../ops/clock.ts'"),
      'src/core/a.ts:2: imports x of the port src/ops/clock.ts by value',
    ],
    [
      'a sibling is seen by its port only',
      file('src/detect/a.ts', "import type { B } from '../respond/board.ts'"),
      'imports src/respond/board.ts; take it as an argument',
    ],
    [
      'a port is seen as types only',
      file('src/ingest/a.ts', "import { TOPICS } from '../log/log.ts'; import { systemClock } from '../ops/clock.ts'"),
      'imports systemClock of the port',
    ],
    [
      'nobody below imports app',
      file('src/respond/a.ts', "import type { App } from '../app.ts'"),
      'src/respond/a.ts:1: imports src/app.ts',
    ],
    [
      'the log adapters are closed',
      file('src/cli/a.ts', "import { openJournal } from '../log/journal/journal.ts'"),
      'take a Log as an argument, adapters.ts makes it',
    ],
    ['app knows no adapters', file('src/app.ts', "import { memoryLog } from './log/memory.ts'"), 'src/app.ts:1: imports src/log/memory.ts'],
    [
      'src imports nothing of test',
      file('src/ops/a.ts', "import { x } from '../../test/clock.ts'"),
      'imports ../../test/clock.ts from outside src',
    ],
    ['a dynamic import counts', file('src/core/a.ts', "const a = () => import('../detect/a.ts')"), 'imports src/detect/a.ts'],
    ['a re-export counts', file('src/core/a.ts', "export { a } from '../detect/a.ts'"), 'imports src/detect/a.ts'],
    ['a new folder must be placed', file('src/misc/a.ts', "import { a } from '../core/a.ts'"), 'add misc to MAY_IMPORT'],
  ])('%s', (_, planted, found) => {
    expect(checkImports([planted])).toEqual([expect.stringContaining(found)])
  })

  it('let ports, formats, delay and the way down pass', () => {
    const files = [
      file(
        'src/detect/a.ts',
        "import type { Log } from '../log/log.ts'",
        "import { decodeFrame } from '../log/frame.ts'",
        "import { delay, type Clock } from '../ops/clock.ts'",
      ),
      file('src/app.ts', "import { createDetect } from './detect/detect.ts'"),
      file('src/adapters.ts', "import { memoryLog } from './log/memory.ts'"),
      file('src/api/a.ts', "import type { App } from '../app.ts'"),
    ]
    expect(checkImports(files)).toEqual([])
  })

  it('keep an adapter package in one folder', () => {
    const files = [
      file('src/ingest/a.ts', "import { Aedes } from 'aedes'"),
      file('src/cli/b.ts', '', "import type { Client } from 'aedes'"),
    ]
    expect(checkImports(files)).toEqual(['src/cli/b.ts:2: aedes is known in src/ingest and src/cli; keep it in one folder behind a port'])
    expect(
      checkImports([file('src/train/a.ts', "import '@tensorflow/tfjs-core'"), file('src/detect/a.ts', "import '@tensorflow/tfjs-layers'")]),
    ).toHaveLength(1)
  })
})

describe('bans', () => {
  it.each([
    ['Date.now()', 'Date.now is banned here; use clock.now() of the Clock port'],
    ['new Date()', 'new Date() is banned here; use new Date(clock.now())'],
    ['performance.now()', 'use clock.monotonic()'],
    ['setTimeout(f, 1)', 'setTimeout is banned here; use clock.after() or delay()'],
    ['globalThis.setInterval(f, 1)', 'setInterval is banned here; use clock.after(), asked for again'],
    ['Math.random()', 'use random.fraction() of the Random port'],
    ['crypto.randomUUID()', 'use random.id() of the Random port'],
    ["import { randomBytes } from 'node:crypto'", 'use random.id() of the Random port'],
    ["import { setTimeout as wait } from 'node:timers/promises'", 'use '],
    ['const { HOME } = process.env', 'process.env is banned here; use a key of the config, passed in'],
    ['console.log(1)', 'console.log is banned here; use the Logger port'],
  ])('catch %s and name its replacement', (code, found) => {
    const findings = checkBans([file('src/detect/a.ts', '/** A. */', code)])
    expect(findings[0]).toMatch(/^src\/detect\/a\.ts:2: /)
    expect(findings.join('\n')).toContain(found)
  })

  it('let the one file, names of members and other folders pass', () => {
    const files = [
      file('src/ops/clock.ts', 'Date.now(); performance.now(); setTimeout(f, 1)'),
      file('src/ops/random.ts', 'Math.random()'),
      file('src/config/environment.ts', 'process.env'),
      file('src/detect/a.ts', 'clock.setTimeout(f); const a = { setInterval: 1, now: Date }; new Date(5); "Date.now()" // console.log'),
      file('scripts/a.mjs', 'console.log(Date.now())'),
    ]
    expect(checkBans(files)).toEqual([])
  })
})

describe('shape', () => {
  it('catches a file of 401 lines and no shorter one', () => {
    expect(checkLengths([file('test/a.test.ts', ...lines(401))])).toEqual([
      expect.stringMatching(/^test\/a\.test\.ts:1: has 401 lines, allowed are 400; /),
    ])
    expect(checkLengths([file('test/a.test.ts', ...lines(400), '')])).toEqual([])
  })

  it.each([
    ['function a() {', '}'],
    ['const a = () => {', '}'],
    ['class A { a() {', '} }'],
  ])('catches a function of 71 lines and no shorter one: %s', (first, last) => {
    expect(checkFunctions([file('src/a.ts', '', first, ...lines(69), last)])).toEqual([
      expect.stringMatching(/^src\/a\.ts:2: a function of 71 lines, allowed are 70; /),
    ])
    expect(checkFunctions([file('src/a.ts', '', first, ...lines(68), last)])).toEqual([])
  })

  it('catches a file that opens with something else', () => {
    expect(checkOpenings([file('src/a.ts', "import 'b'")])).toEqual([
      expect.stringMatching(/^src\/a\.ts:1: opens without a doc comment; say in one/),
    ])
    expect(
      checkOpenings([
        file('src/a.ts', '/** What it is. */'),
        file('src/b.ts', '#!/usr/bin/env node', '/** B. */'),
        file('src/c.ts', '/**', ' * C.'),
      ]),
    ).toEqual([])
  })
})

describe('exports', () => {
  it('catch what nobody imports', () => {
    const files = [
      file('src/a/a.ts', 'export const used = 1', 'export function dead() {}'),
      file('src/b.ts', "import { used } from './a/a.ts'"),
    ]
    expect(checkExports(files)).toEqual(['src/a/a.ts:2: exports dead, which nobody imports; take the export off, or the code out'])
  })

  it('count tests, re-exports, namespaces and dynamic imports as use, types and entry points as alive', () => {
    const files = [
      file('src/main.ts', 'export const entry = 1'),
      file('src/a.ts', 'export const a = 1, b = 2', 'export interface C {}'),
      file('test/a.test.ts', "import { a } from '../src/a.ts'"),
      file('bench/b.ts', "export { b } from '../src/a.ts'"),
      file('src/c.ts', 'export const c = 1'),
      file('test/c.test.ts', "import * as c from '../src/c.ts'"),
      file('src/d.ts', 'export const d = 1'),
      file('test/d.test.ts', "const d = await import('../src/d.ts')"),
    ]
    expect(checkExports(files)).toEqual([])
  })
})

describe('texts', () => {
  const good = ['# Changelog', '', '## Unreleased', '', '- [FEATURE] log: a journal of our own.']

  it('let a changelog in its form pass', () => {
    expect(checkChangelog([file('CHANGELOG.md', ...good, '## 0.1.0 (2026-01-31)', '- [BUGFIX] config: says the line.')])).toEqual([])
  })

  it.each([
    ['another tag', '- [ADDED] log: a journal.', /^CHANGELOG\.md:6: is no entry; write "- \[FEATURE\] area: a sentence\."/],
    ['no area', '- [FEATURE] a journal.', /^CHANGELOG\.md:6: is no entry/],
    ['no tag', '* log: a journal.', /^CHANGELOG\.md:6: is no entry/],
    ['another heading', '## Version 2', /^CHANGELOG\.md:6: is no heading; write "## Unreleased"/],
  ])('catch a changelog line with %s', (_, line, found) => {
    expect(checkChangelog([file('CHANGELOG.md', ...good, line)])).toEqual([expect.stringMatching(found)])
  })

  it('catch a changelog that is missing', () => {
    expect(checkChangelog([])).toEqual([expect.stringContaining('CHANGELOG.md:1: is missing')])
  })

  it.each(['work', 'root', 'home'])('catch a path of one machine: /%s', (top) => {
    const path = `/${top}/x`
    expect(checkMachinePaths([file('docs/a.md', '', `see ${path}`)])).toEqual([
      expect.stringMatching(/^docs\/a\.md:2: names .*make it relative to the checkout/),
    ])
    expect(checkMachinePaths([file('a.sh', `cd "/${top}"`)])).toHaveLength(1)
    expect(checkMachinePaths([file('a.md', `src${path} ./${top} https://host/${top}/ /${top}page`)])).toEqual([])
  })

  it.each([
    'https://registry.npmjs.org/x',
    '"resolved": "https://example.org/x.tgz"',
    'registry = https://example.org',
    'pypi.org',
    'npm.artifactory.example.org',
  ])('catch a package registry: %s', (text) => {
    expect(checkRegistries([file('package-lock.json', '', text)])[0]).toMatch(/^package-lock\.json:2: names .*, a package registry; /)
  })
})
