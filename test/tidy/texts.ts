/** Tidy: the form of the changelog, and what no committed file may name. */
import { finding, type Finding, type SourceFile } from './source.ts'

const HEADING = /^## (?:Unreleased|\d+\.\d+\.\d+ \(\d{4}-\d{2}-\d{2}\))$/
const ENTRY = /^- \[(?:CHANGE|FEATURE|ENHANCEMENT|BUGFIX)\] [a-z][a-z, -]*: \S.*[.!]$/

export function checkChangelog(files: readonly SourceFile[]): Finding[] {
  const file = files.find(({ path }) => path === 'CHANGELOG.md')
  if (!file) return ['CHANGELOG.md:1: is missing; open it with "# Changelog" and "## Unreleased"']
  const lines = file.text.split('\n')
  const problems = lines[0] === '# Changelog' ? [] : ['CHANGELOG.md:1: is not "# Changelog"; begin with it']
  lines.forEach((line, index) => {
    if (line.startsWith('##') && !HEADING.test(line)) {
      problems.push(`CHANGELOG.md:${index + 1}: is no heading; write "## Unreleased" or "## 1.2.3 (2026-01-31)"`)
    }
    if (/^\s*[-*+] /.test(line) && !ENTRY.test(line)) {
      problems.push(
        `CHANGELOG.md:${index + 1}: is no entry; write "- [FEATURE] area: a sentence." with CHANGE, FEATURE, ENHANCEMENT or BUGFIX`,
      )
    }
  })
  return problems
}

/** The folders that machines of ours are laid out by. */
const MACHINE = /(?<![\w.~@/-])\/(?:work|root|home)(?=[/\s"'`)\]},;:]|$)/gm

export function checkMachinePaths(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) =>
    [...file.text.matchAll(MACHINE)].map((match) =>
      finding(file, match.index, `names ${match[0]}, a path of one machine; make it relative to the checkout`),
    ),
  )
}

const REGISTRIES = new RegExp(
  [
    String.raw`\bregistry\.(?:npm|yarn)\w*\.\w+`,
    String.raw`\b(?:artifactory|verdaccio|nexus)\.[\w.-]+\.\w+`,
    String.raw`\b(?:pypi|pythonhosted|crates)\.(?:org|io)\b`,
    String.raw`\bproxy\.golang\.org\b`,
    String.raw`^[ \t]*(?:@[\w-]+:)?registry\s*=`,
    String.raw`"resolved":\s*"https?:`,
  ].join('|'),
  'gm',
)
/** Names the hosts in order to refuse them. */
const REGISTRY_CHECKS: ReadonlySet<string> = new Set(['test/tidy/texts.ts', 'test/tidy/checks.test.ts'])

export function checkRegistries(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => !REGISTRY_CHECKS.has(path))
    .flatMap((file) =>
      [...file.text.matchAll(REGISTRIES)].map((match) =>
        finding(
          file,
          match.index,
          `names ${match[0].trim()}, a package registry; leave it to each machine's npm (omit-lockfile-registry-resolved)`,
        ),
      ),
    )
}
