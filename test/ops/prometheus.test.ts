/** The Metrics port over prom-client, read back as a scraper would. */
import { describe, expect, test } from 'vitest'
import { makePrometheus } from '../../src/ops/prometheus.ts'

const exposed = async (metrics: ReturnType<typeof makePrometheus>) => (await metrics.exposition()).body

describe('makePrometheus', () => {
  test('exposes counters with their labels', async () => {
    const metrics = makePrometheus({ processMetrics: false })
    metrics.counter('picket_drops_total', 'Drops', ['stage']).add(3, { stage: 'ingest' })
    expect(await exposed(metrics)).toContain('picket_drops_total{stage="ingest"} 3')
  })

  test('shows a counter without labels as 0 before it first moves', async () => {
    const metrics = makePrometheus({ processMetrics: false })
    metrics.counter('picket_received_total', 'Received')
    expect(await exposed(metrics)).toContain('picket_received_total 0')
  })

  test('gives the same instrument for the same name', async () => {
    const metrics = makePrometheus({ processMetrics: false })
    metrics.counter('picket_received_total', 'Received').add(1)
    metrics.counter('picket_received_total', 'Received').add(1)
    expect(await exposed(metrics)).toContain('picket_received_total 2')
  })

  test('refuses a name declared as two kinds, other labels, a foreign prefix and a missing label', () => {
    const metrics = makePrometheus({ processMetrics: false })
    const drops = metrics.counter('picket_drops_total', 'Drops', ['stage'])
    expect(() => metrics.gauge('picket_drops_total', 'Drops', ['stage'])).toThrow(/declared twice/)
    expect(() => metrics.counter('picket_drops_total', 'Drops', ['reason'])).toThrow(/declared twice/)
    expect(() => metrics.counter('drops_total', 'Drops')).toThrow(/picket_/)
    expect(() => drops.add(1, { reason: 'x' })).toThrow(/without its label stage/)
  })

  test('counts combinations beyond the limit under other, and says how often', async () => {
    const metrics = makePrometheus({ processMetrics: false, maxCombinations: 2 })
    const counter = metrics.counter('picket_incidents_total', 'Incidents', ['class', 'cause'])
    for (const name of ['a', 'b', 'c', 'd', 'a']) counter.add(1, { class: name, cause: 'limit' })
    const body = await exposed(metrics)
    expect(body).toContain('picket_incidents_total{class="a",cause="limit"} 2')
    expect(body).toContain('picket_incidents_total{class="other",cause="other"} 2')
    expect(body).not.toContain('class="c"')
    expect(body).toContain('picket_metric_overflow_total{metric="picket_incidents_total"} 2')
  })

  test('does not set a gauge beyond the limit, where one value would stand for many', async () => {
    const metrics = makePrometheus({ processMetrics: false, maxCombinations: 1 })
    const gauge = metrics.gauge('picket_lag', 'Lag', ['partition'])
    gauge.set(1, { partition: '0' })
    gauge.set(2, { partition: '1' })
    const body = await exposed(metrics)
    expect(body).toContain('picket_lag{partition="0"} 1')
    expect(body).not.toContain('partition="other"')
    expect(body).toContain('picket_metric_overflow_total{metric="picket_lag"} 1')
  })

  test('has histogram buckets from half a millisecond to ten seconds', async () => {
    const metrics = makePrometheus({ processMetrics: false })
    metrics.histogram('picket_flush_seconds', 'Flush').observe(0.0004)
    const body = await exposed(metrics)
    expect(body).toContain('picket_flush_seconds_bucket{le="0.0005"} 1')
    expect(body).toContain('picket_flush_seconds_bucket{le="10"} 1')
  })

  test('adds the process metrics under their usual names, two registries apart', async () => {
    const metrics = makePrometheus({ processMetrics: true })
    makePrometheus({ processMetrics: true })
    const { body, contentType } = await metrics.exposition()
    expect(body).toContain('process_cpu_seconds_total')
    expect(body).toContain('nodejs_eventloop_lag_seconds')
    expect(contentType).toContain('text/plain')
  })

  test('measures gauges anew before each exposition', async () => {
    const metrics = makePrometheus({ processMetrics: false })
    const lag = metrics.gauge('picket_lag', 'Lag')
    let records = 0
    metrics.beforeScrape(async () => lag.set(++records))
    await metrics.exposition()
    expect(await exposed(metrics)).toContain('picket_lag 2')
  })

  test('shows the rest when one measure fails', async () => {
    const metrics = makePrometheus({ processMetrics: false })
    metrics.beforeScrape(() => Promise.reject(new Error('closed')))
    metrics.counter('picket_received_total', 'Received').add(1)
    const body = await exposed(metrics)
    expect(body).toContain('picket_received_total 1')
    expect(body).toContain('picket_metric_errors_total 1')
  })
})
