/** What Picket exports: the metrics declared in src, and those prom-client adds; read from there, so that no list has to be kept. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makePrometheus } from '../../src/ops/prometheus.ts'

const DECLARED = /(counter|gauge|histogram)\(\s*'(picket_\w+)'/g
const OF_HISTOGRAM = ['_bucket', '_sum', '_count']
/** Prometheus's own: whether a target could be scraped. */
const OF_SCRAPES = ['up']

/** Every name a query may ask for. */
export async function exportedMetrics(): Promise<ReadonlySet<string>> {
  const names = new Set(OF_SCRAPES)
  for (const file of sources('src')) {
    for (const [, kind, name] of readFileSync(file, 'utf8').matchAll(DECLARED)) for (const suffix of kind === 'histogram' ? OF_HISTOGRAM : ['']) names.add(`${name}${suffix}`)
  }
  const { body } = await makePrometheus({ processMetrics: true }).exposition()
  for (const [, name, kind] of body.matchAll(/^# TYPE (\w+) (\w+)$/gm)) for (const suffix of kind === 'histogram' ? OF_HISTOGRAM : ['']) names.add(`${name}${suffix}`)
  return names
}

/** The metrics a query asks for. */
export function metricsOf(expression: string): string[] {
  const bare = expression.replace(/"[^"]*"/g, '')
  return [...bare.matchAll(/\b(?:picket|process|nodejs)_\w+|\bup\b/g)].map(([name]) => name)
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts')).map((file) => join(folder, file))
}
