/** All rows of one partition, what the config says about each, and how they come from and go to the log. */
import { settingsFor, type ClassSettings, type Settings } from '../core/settings.ts'
import { PipelineError } from '../core/errors.ts'
import type { Page, PageKind } from '../log/page.ts'
import { fold } from './budget.ts'
import { detectorsOf, partsOf } from './catalogue.ts'
import type { Detector } from './detector.ts'
import { LAST_TIME, seriesPresence } from './presence.ts'
import { type BeforeChange, Table } from './table.ts'
import { Zones } from './zones.ts'

/** Stands between a series' device and metric in its row's name; no name may hold it. */
const NUL = '\u0000'
export const DEFAULT_CLASS = 'default'

export interface DeviceAbout {
  readonly class: string
  readonly labels: Readonly<Record<string, string>>
}

export type Tables = Readonly<Record<PageKind, Table>>

/** Rows of a partition under one config. The columns beside the rows come from config and names alone, so no page holds them. */
export class State {
  readonly settings: Settings
  readonly detectors: readonly Detector[]
  readonly tables: Tables
  readonly zones: Zones
  /** Class row. [device capacity] */
  readonly classOf: Int32Array
  /** Limits in force. [series capacity] */
  readonly above: Float64Array
  readonly below: Float64Array
  readonly #metrics: (Map<string, number> | undefined)[] = []
  readonly #devicesOfClass: number[] = []
  readonly #labels: (DeviceAbout['labels'] | undefined)[] = []
  readonly #settingsOf: (ClassSettings | undefined)[] = []
  /** Of the devices that have no layer of their own, by class and site: at most as many as the config names of both. */
  readonly #shared = new Map<string, ClassSettings>()

  /** `held`: rows of each kind that stored pages will bring; they stay even where the settings now allow fewer. */
  constructor(settings: Settings, beforeChange: BeforeChange, held: Readonly<Record<PageKind, number>>) {
    this.settings = settings
    this.detectors = detectorsOf(settings)
    this.zones = new Zones(settings)
    const table = (kind: 'series' | 'device' | 'class' | 'incident', capacity: number) =>
      new Table(kind, capacity, partsOf(kind, this.detectors), beforeChange, held[kind])
    this.tables = {
      series: table('series', settings.capacity.series),
      device: table('device', settings.capacity.devices),
      class: table('class', settings.capacity.classes),
      incident: table('incident', settings.capacity.incidents),
      task: new Table('task', 1, [], beforeChange),
    }
    this.classOf = new Int32Array(Math.max(settings.capacity.devices, held.device))
    this.above = new Float64Array(Math.max(settings.capacity.series, held.series))
    this.below = new Float64Array(Math.max(settings.capacity.series, held.series))
  }

  /** Puts stored pages in place and works out what stands beside the rows. */
  load(pages: Iterable<Page>): void {
    for (const page of pages) this.tables[page.kind].load(page)
    const { device, series, class: klass } = this.tables
    // Classes the config no longer names make room for those it does: their devices are of the default class now.
    for (let row = 0; row < klass.end; row++) {
      const name = klass.name(row)
      if (name !== undefined && classOr(this.settings, name) !== name) klass.free(row)
    }
    for (let row = 0; row < device.end; row++) if (device.name(row) !== undefined) this.#settleDevice(row)
    for (let row = 0; row < series.end; row++) if (series.name(row) !== undefined) this.#settleSeries(row)
  }

  /** The pages of every row in use. */
  *pages(): Iterable<Page> {
    for (const table of Object.values(this.tables)) for (let page = 0; page < table.pages(); page++) yield table.page(page)
  }

  about(device: number): DeviceAbout {
    return JSON.parse(this.tables.device.about(device)) as DeviceAbout
  }

  settingsOf(device: number): ClassSettings {
    return this.#settingsOf[device]!
  }

  classSettings(name: string): ClassSettings {
    return this.settings.classes[classOr(this.settings, name)]!
  }

  /** The device's row, a new one when it was never seen; −1 when there is no room. Labels and class are what its newest message says. */
  device(name: string, labels: Readonly<Record<string, string>>): number {
    const found = this.tables.device.row(name)
    if (found !== undefined) {
      if (!this.hasLabels(found, labels)) this.#relabel(found, labels)
      return found
    }
    const claimed = labels['class'] ?? DEFAULT_CLASS
    const row = this.tables.device.allocate(name, aboutText(this.settings, claimed, labels))
    if (row >= 0) this.#settleDevice(row)
    return row
  }

  hasLabels(row: number, labels: Readonly<Record<string, string>>): boolean {
    // A frame names a device's labels once: all its messages bring the same object.
    const known = this.#labels[row]!
    if (known === labels) return true
    if (!sameLabels(known, labels)) return false
    this.#labels[row] = labels
    return true
  }

  #relabel(row: number, labels: Readonly<Record<string, string>>): void {
    this.#devicesOfClass[this.classOf[row]!]!--
    this.tables.device.setAbout(row, aboutText(this.settings, labels['class'] ?? DEFAULT_CLASS, labels))
    this.#settleDevice(row)
    for (const series of this.#metrics[row]!.values()) this.#settleSeries(series)
  }

  /** The row of one metric of a device, or undefined. */
  series(device: number, metric: string): number | undefined {
    return this.#metrics[device]!.get(metric)
  }

  metrics(device: number): ReadonlyMap<string, number> {
    return this.#metrics[device]!
  }

  /** A row for a metric never seen; −1 when there is no room. */
  addSeries(device: number, metric: string): number {
    const row = this.tables.series.allocate(`${this.tables.device.name(device)!}${NUL}${metric}`, '')
    if (row >= 0) this.#settleSeries(row)
    return row
  }

  freeDevice(device: number): void {
    for (const series of this.#metrics[device]!.values()) this.tables.series.free(series)
    this.#metrics[device] = undefined
    this.#labels[device] = undefined
    this.#settingsOf[device] = undefined
    this.#devicesOfClass[this.classOf[device]!]!--
    this.tables.device.free(device)
  }

  /** Frees what a living device has not reported for the time of expiry, by its own time: its metrics may change their names. */
  freeStaleSeries(device: number): void {
    const last = this.tables.series.view(seriesPresence.name)!
    let newest = -Infinity
    for (const row of this.#metrics[device]!.values()) newest = Math.max(newest, last.float64[row * last.stride64 + last.at64 + LAST_TIME]!)
    for (const [metric, row] of this.#metrics[device]!)
      if (newest - last.float64[row * last.stride64 + last.at64 + LAST_TIME]! > this.settings.expireMs) this.freeSeries(device, metric)
  }

  freeSeries(device: number, metric: string): void {
    const row = this.#metrics[device]!.get(metric)
    if (row === undefined) return
    this.#metrics[device]!.delete(metric)
    this.#forget(device, row)
    this.tables.series.free(row)
  }

  /** What a detector of the device keeps of the series goes before the series does. */
  #forget(device: number, series: number): void {
    const tables = this.tables
    for (const { name, basis, forget } of this.detectors) {
      if (!forget || !basis) continue
      tables.device.touch(device)
      forget(tables.device.view(name)!, device, tables.series.view(basis.name)!, series)
    }
  }

  /** Whether any metric that the device has sent has a limit in force. */
  hasLimits(name: string): boolean {
    const device = this.tables.device.row(name)
    if (device === undefined) return false
    return [...this.#metrics[device]!.values()].some((series) => this.above[series]! < Infinity || this.below[series]! > -Infinity)
  }

  metricOf(series: number): string {
    const name = this.tables.series.name(series)!
    return name.slice(name.indexOf(NUL) + 1)
  }

  devicesOfClass(klass: number): number {
    return this.#devicesOfClass[klass] ?? 0
  }

  #settleDevice(row: number): void {
    const about = this.about(row)
    // A class that the config no longer names falls back to the default one, and comes back with it.
    const name = classOr(this.settings, about.labels['class'] ?? DEFAULT_CLASS)
    const klass = this.#class(name)
    this.classOf[row] = klass
    this.#settingsOf[row] = this.#resolve(this.tables.device.name(row)!, name, about.labels['site'])
    this.#labels[row] = about.labels
    this.#devicesOfClass[klass] = (this.#devicesOfClass[klass] ?? 0) + 1
    this.#metrics[row] ??= new Map()
    if (about.class !== name) this.tables.device.setAbout(row, JSON.stringify({ class: name, labels: about.labels } satisfies DeviceAbout))
  }

  #resolve(device: string, klass: string, site: string | undefined): ClassSettings {
    if (Object.hasOwn(this.settings.devices, device)) return settingsFor(this.settings, { class: klass, site, device })
    if (site === undefined || !Object.hasOwn(this.settings.sites, site)) return this.classSettings(klass)
    const key = `${klass}${NUL}${site}`
    const known = this.#shared.get(key) ?? settingsFor(this.settings, { class: klass, site, device })
    this.#shared.set(key, known)
    return known
  }

  #class(name: string): number {
    const found = this.tables.class.row(name)
    if (found !== undefined) return found
    const row = this.tables.class.allocate(name, '')
    if (row < 0) throw new PipelineError('BAD_CONFIG', `capacity.classes: ${this.tables.class.capacity} classes a partition are too few for ${name}`)
    fold(this.tables.class.view('budget')!, row, 0, this.classSettings(name).budget)
    return row
  }

  #settleSeries(row: number): void {
    const name = this.tables.series.name(row)!
    const at = name.indexOf(NUL)
    const device = this.tables.device.row(name.slice(0, at))
    if (device === undefined) throw new PipelineError('BAD_RECORD', `state has a series without its device: ${name.replace(NUL, ' ')}`)
    const metric = name.slice(at + 1)
    this.#metrics[device]!.set(metric, row)
    const limit = this.settingsOf(device).metrics[metric]
    this.above[row] = limit?.above ?? Infinity
    this.below[row] = limit?.below ?? -Infinity
  }
}

function sameLabels(a: DeviceAbout['labels'], b: DeviceAbout['labels']): boolean {
  const names = Object.keys(b)
  return names.length === Object.keys(a).length && names.every((name) => a[name] === b[name])
}

/** The class the settings have for what a topic claims; anything may be claimed, `constructor` too. */
function classOr(settings: Settings, claimed: string): string {
  return Object.hasOwn(settings.classes, claimed) ? claimed : DEFAULT_CLASS
}

function aboutText(settings: Settings, claimed: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify({ class: classOr(settings, claimed), labels } satisfies DeviceAbout)
}
