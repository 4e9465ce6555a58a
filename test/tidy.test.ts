/** The rules of the code itself, checked on every file of the checkout; `tidy/checks.test.ts` proves that each check can fail. */
import { describe, expect, it } from 'vitest'
import { checkBans } from './tidy/bans.ts'
import { checkExports } from './tidy/exports.ts'
import { checkImports } from './tidy/imports.ts'
import { checkFunctions, checkLengths, checkOpenings } from './tidy/shape.ts'
import { checkout, type Finding, type SourceFile } from './tidy/source.ts'
import { checkChangelog, checkMachinePaths, checkRegistries } from './tidy/texts.ts'

const files = checkout()

describe('the code', () => {
  it.each<[string, (files: readonly SourceFile[]) => Finding[]]>([
    ['imports in one direction, siblings only by their ports, each adapter package in one folder', checkImports],
    ['takes time, randomness, environment and output from their one file', checkBans],
    ['has no file over 400 lines', checkLengths],
    ['has no function over 70 lines', checkFunctions],
    ['opens each file with a sentence', checkOpenings],
    ['exports nothing that nobody imports', checkExports],
    ['keeps the changelog in its form', checkChangelog],
    ['names no path of one machine', checkMachinePaths],
    ['names no package registry', checkRegistries],
  ])('%s', (_, check) => {
    expect(check(files).join('\n')).toBe('')
  })
})
