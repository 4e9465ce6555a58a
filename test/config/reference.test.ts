/** The reference page is the schema's, and whole. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { referencePage } from '../../src/config/reference.ts'

it("docs/config.md is what the schema makes of it: `picket schema --markdown > docs/config.md` writes it anew", () => {
  expect(readFileSync('docs/config.md', 'utf8')).toBe(referencePage())
})

it.each([
  ['a global key', '| `log.embedded.partitions` | whole number | `4` | 1 to 256 | partitions | Fixed once the log is made. | global |'],
  ['a key of a layer', '| `warmup` | whole number | `300` | 10 to 1000000 | readings | Readings a series must have had before it may raise an incident. | class, site, device |'],
  ['a key that only classes have', '| `budget` | rate | `1 per month` | above 0 to 1000 | per day, per week, per month | False alarms a device may raise. | class |'],
  ['a key of a list’s entries', '| `notify[].webhook.url` | URL | required | http or https, at most 2048 characters |   | Where each revision of an incident is POSTed to. | global |'],
  ['what may be one thing or another', '| `quarantine` | never, or a mapping | – |'],
])('has a row for %s', (_, row) => {
  expect(referencePage()).toContain(row)
})
