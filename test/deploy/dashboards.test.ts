/** The dashboards: that Grafana can read them, and that they show what Picket exports. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { exportedMetrics, metricsOf } from './exported.ts'

const FOLDER = 'deploy/grafana/dashboards'
const PROVISIONING = 'deploy/grafana/provisioning'

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[]
}

interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly panels: readonly Panel[]
}

const dashboards = readdirSync(FOLDER).map((file) => ({ file, ...(JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Dashboard) }))
const charts = dashboards.flatMap(({ file, panels }) => panels.filter(({ type }) => type !== 'row').map((panel) => ({ file, ...panel })))

describe('a dashboard', () => {
  it.each(dashboards)('$file is called by its name, and by no other’s', ({ file, uid, title }) => {
    expect(file).toBe(`${uid}.json`)
    expect(title).toMatch(/^Picket: /)
  })

  it.each(dashboards)('$file has no panel over another', ({ panels }) => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (_, i) => `${x + (i % w)}/${y + Math.floor(i / w)}`))
    expect(new Set(cells).size).toBe(cells.length)
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
  })
})

describe('a panel', () => {
  it.each(charts)('$file: $title says what it shows', ({ description, targets }) => {
    expect(description).toBeTruthy()
    expect(targets?.length).toBeGreaterThan(0)
  })

  it.each(charts)('$file: $title asks for metrics that Picket exports', async ({ targets = [] }) => {
    const exported = await exportedMetrics()
    for (const { expr } of targets) {
      expect(metricsOf(expr).length, expr).toBeGreaterThan(0)
      expect(metricsOf(expr).filter((name) => !exported.has(name)), expr).toEqual([])
    }
  })
})

it('Grafana is given the folder of the dashboards and the Prometheus of the composition', () => {
  const { providers } = parse(readFileSync(`${PROVISIONING}/dashboards/picket.yml`, 'utf8')) as { readonly providers: readonly { readonly options: { readonly path: string } }[] }
  const { datasources } = parse(readFileSync(`${PROVISIONING}/datasources/prometheus.yml`, 'utf8')) as { readonly datasources: readonly { readonly url: string }[] }
  const { services } = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as { readonly services: Readonly<Record<string, { readonly volumes: readonly string[] }>> }
  expect(services['grafana']!.volumes).toContain(`./${FOLDER}:${providers[0]!.options.path}:ro`)
  expect(datasources.map(({ url }) => url)).toEqual(['http://prometheus:9090'])
})
