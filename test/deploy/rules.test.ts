/** The alert rules: that they mean what they say, ask for what there is, and lead to a page that helps. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { makeLab } from '../cli/lab.ts'
import { withPromtool } from '../parts/suites.ts'
import { exportedMetrics, metricsOf } from './exported.ts'

const RULES = 'deploy/prometheus/rules/picket.yml'
const TESTS = 'deploy/prometheus/tests/picket.yml'
const PAGES = 'docs/runbooks'
/** How the pages are used, beside those of the alerts. */
const README = 'README.md'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

const { groups } = parse(readFileSync(RULES, 'utf8')) as { readonly groups: readonly { readonly rules: readonly Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)
const pages = readdirSync(PAGES).filter((file) => file !== README)
const pageOf = (file: string) => readFileSync(`${PAGES}/${file}`, 'utf8')

withPromtool('the rules', () => {
  it('are rules, every one', () => {
    expect(execFileSync('promtool', ['check', 'rules', RULES], { encoding: 'utf8' })).toContain(`SUCCESS: ${rules.length} rules found`)
  })

  it('fire when they should, and not while all is well', () => {
    expect(execFileSync('promtool', ['test', 'rules', TESTS], { encoding: 'utf8' })).toContain('SUCCESS')
  })

  it('are loaded by a configuration Prometheus takes', () => {
    const said = execFileSync('promtool', ['check', 'config', '--syntax-only', 'deploy/prometheus/prometheus.yml'], { encoding: 'utf8' })
    expect(said).toContain('SUCCESS')
  })
})

describe('an alert', () => {
  it.each(rules)('$alert is shown firing by a test', ({ alert }) => {
    expect(readFileSync(TESTS, 'utf8')).toMatch(new RegExp(`alertname(?:="|: )${alert}\\b`))
  })

  it.each(rules)('$alert asks for metrics that Picket exports', async ({ expr }) => {
    const exported = await exportedMetrics()
    const asked = metricsOf(expr)
    expect(asked.length).toBeGreaterThan(0)
    expect(asked.filter((name) => !exported.has(name))).toEqual([])
  })

  it.each(rules)('$alert says how bad it is, what it is, and which page helps', ({ alert, labels, annotations }) => {
    expect(['critical', 'warning']).toContain(labels['severity'])
    expect(annotations['summary']).toBeTruthy()
    expect(annotations['description']).toBeTruthy()
    expect(annotations['runbook_url']).toBe(`${PAGES}/${alert}.md`)
    expect(existsSync(annotations['runbook_url']!)).toBe(true)
  })
})

describe('a runbook page', () => {
  it.each(pages)('%s is that of an alert', (file) => {
    expect(rules.map(({ alert }) => `${alert}.md`)).toContain(file)
  })

  it.each(pages)('%s says what it means, what is at stake, how to see it, what to do, and when it is nothing', (file) => {
    const text = pageOf(file)
    expect(text).toMatch(new RegExp(`^# ${file.replace('.md', '')}\n`))
    const places = ['**Means.**', '**At stake.**', '**See.**', '**Do', '**False alarm**'].map((part) => text.indexOf(part))
    expect(places).not.toContain(-1)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
  })

  it.each([README, ...pages])('%s links to pages that are there', (file) => {
    for (const [, target] of pageOf(file).matchAll(/\]\(([^)]+)\)/g)) expect(existsSync(`${PAGES}/${target}`), target).toBe(true)
  })

  it.each([README, ...pages])('%s names metrics that Picket exports', async (file) => {
    const exported = await exportedMetrics()
    const bases = new Set([...exported].map((name) => name.replace(/_(bucket|sum|count)$/, '')))
    const named = pageOf(file).match(/\bpicket_\w+|\bprocess_\w+/g) ?? []
    expect(named.filter((name) => !exported.has(name) && !bases.has(name))).toEqual([])
  })

  it.each([README, ...pages])('%s gives commands that picket has, with options that they take', async (file) => {
    for (const [, line] of pageOf(file).matchAll(/`picket ([a-z][^`]*)`/g)) {
      const verbs = /^[a-z]+(?: (?:read|verify|on|off|status))?/.exec(line!)![0].split(' ')
      const help = await helpOf(verbs)
      expect(help, `picket ${verbs.join(' ')}`).toContain(`picket ${verbs[0]}`)
      for (const [option] of line!.matchAll(/--[a-z-]+/g)) expect(help, `picket ${line}`).toContain(option)
    }
  })
})

/** What a verb says of itself; '' when there is none. Words that are arguments are left out. */
async function helpOf(verbs: readonly string[]): Promise<string> {
  const [verb] = verbs
  for (const words of [verbs, [verb!]]) {
    const { run, printed } = makeLab()
    if ((await run(...words, '--help')).code === 0 && printed.stdout.includes(`picket ${verb}`)) return printed.stdout
  }
  return ''
}
