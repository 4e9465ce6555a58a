/** `picket check --explain`: each value in force for one metric of one device, and which line of which layer says so. */
import type { Asker } from '../core/settings.ts'
import type { WrittenConfig } from './config.ts'
import { keyOf, type Path } from './problems.ts'
import { classLayer, metric as metricLayer, quarantine } from './schema.ts'

export interface Explained {
  /** Of a layer: `warmup`, `quarantine.for`, `metrics.vibration.above`. */
  readonly key: string
  /** As it is written in the config; null: nobody says anything, which is what `none` says. */
  readonly value: unknown
  readonly none: string
  /** `default` (the built-in one), `class default`, `class pump`, `site north`, `device pump-7`; of a metric's keys with `, metric vibration`. */
  readonly layer: string
  /** `file:line:column` or the `--set` argument; null for built-in values. */
  readonly place: string | null
}

interface Layer {
  readonly name: string
  readonly path: Path
}

/** What it means that nobody says anything. Keys that are not here are then left out. */
const NONE: Readonly<Record<string, string>> = { heartbeat: 'learnt', above: 'no limit', below: 'no limit' }
/** Told key by key. */
const APART: ReadonlySet<string> = new Set(['quarantine', 'metrics'])

/** In the order of the schema, the metric's own at the end. */
export function explain({ document }: WrittenConfig, asker: Asker, metric: string): Explained[] {
  const layers = layersOf(asker)
  const first = (path: Path) => layers.find((layer) => lookUp(document.value, [...layer.path, ...path]) !== undefined)
  const say = (path: Path, shape: Shape, by: Layer | undefined, suffix = ''): Explained[] => {
    const name = String(path.at(-1))
    const value = by ? lookUp(document.value, [...by.path, ...path]) : shape[name]?.meta()?.['builtIn']
    if (value === undefined && !Object.hasOwn(NONE, name)) return []
    const place = by ? document.placeOfValue([...by.path, ...path]) : null
    return [{ key: keyOf(path), value: value ?? null, none: NONE[name] ?? '', layer: by ? `${by.name}${suffix}` : 'default', place }]
  }
  const sayQuarantine = (by: QuarantineBy) =>
    by.never ? say(['quarantine'], {}, by.never) : QUARANTINE_KEYS.flatMap((key) => say(['quarantine', key], quarantine.shape, by[key]))
  const single = Object.keys(classLayer.shape).filter((key) => !APART.has(key))
  const ofMetric = Object.keys(metricLayer.shape).map((key) => ['metrics', metric, key])
  return [
    ...single.flatMap((key) => say([key], classLayer.shape, first([key]))),
    ...sayQuarantine(quarantineBy(document.value, layers)),
    ...ofMetric.flatMap((path) => say(path, metricLayer.shape, first(path), `, metric ${metric}`)),
  ]
}

type Shape = Readonly<Record<string, { meta(): Readonly<Record<string, unknown>> | undefined }>>

/** The most specific first. */
function layersOf({ class: klass, site, device }: Asker): Layer[] {
  return [
    { name: `device ${device}`, path: ['devices', device] },
    ...(site === undefined ? [] : [{ name: `site ${site}`, path: ['sites', site] }]),
    ...(klass === 'default' ? [] : [{ name: `class ${klass}`, path: ['classes', klass] }]),
    { name: 'class default', path: ['classes', 'default'] },
  ]
}

const QUARANTINE_KEYS = ['from', 'for'] as const

/** Who says `never`; or who says each of its keys, undefined being nobody. */
interface QuarantineBy {
  readonly never?: Layer
  readonly from?: Layer | undefined
  readonly for?: Layer | undefined
}

/** From the lowest layer up, by the rules of `resolve.ts` and `overlay`. */
function quarantineBy(written: unknown, layers: readonly Layer[]): QuarantineBy {
  return layers.reduceRight<QuarantineBy>((by, layer) => {
    const says = (...key: readonly string[]) => lookUp(written, [...layer.path, 'quarantine', ...key])
    if (says() === undefined) return by
    if (says() === 'never') return { never: layer }
    const isLifting = layer.path[0] === 'classes' || says('from') !== undefined
    if (by.never && !isLifting) return by
    const under = by.never ? {} : by
    return { from: says('from') === undefined ? under.from : layer, for: says('for') === undefined ? under.for : layer }
  }, {})
}

/** Names are the user's: `constructor` is one like any other. */
function lookUp(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, part) => {
    return inner !== null && typeof inner === 'object' && Object.hasOwn(inner, part) ? (inner as Record<string | number, unknown>)[part] : undefined
  }, value)
}
