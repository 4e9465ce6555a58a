/**
 * What a device and a series were last seen as: duplicates, late readings and covered gaps are judged by these rows before a message enters a round.
 * Rules: DESIGN.md section 4.
 */
import { combine52 } from '../core/hash.ts'
import { FLAG_DUP, FLAG_RETAIN } from '../core/message.ts'
import type { RowPart, Rows } from './detector.ts'

/** Identities kept a device; a repeat further back is late by its event time, or scored twice without one. */
export const IDENTITIES = 16
/** So many late messages in a row are a clock that was set back: what comes then is taken in the order it comes. */
export const LATE_IN_A_ROW = 16

// device, float64
export const LAST_EVENT = 0
export const LAST_APPEND = 1
export const LAST_COVERED = 2
export const QUARANTINED_UNTIL = 3
export const QUARANTINE_GENERATION = 4
export const MINUTE = 5
const IDENTITY = 6
// device, float32
export const SOURCE = 0
export const MESSAGES = 1
export const NEW_IN_MINUTE = 2
const IDENTITY_HEAD = 3
export const LATES = 4

export const devicePresence: RowPart = {
  name: 'presence',
  version: 1,
  scope: 'device',
  fields: {
    present: [
      { name: 'last-event', type: 'float64', width: 1 },
      { name: 'last-append', type: 'float64', width: 1 },
      { name: 'last-covered', type: 'float64', width: 1 },
      { name: 'quarantined-until', type: 'float64', width: 1 },
      { name: 'quarantine-generation', type: 'float64', width: 1 },
      { name: 'minute', type: 'float64', width: 1 },
      { name: 'identity', type: 'float64', width: IDENTITIES },
      { name: 'source', type: 'float32', width: 1 },
      { name: 'messages', type: 'float32', width: 1 },
      { name: 'new-in-minute', type: 'float32', width: 1 },
      { name: 'identity-head', type: 'float32', width: 1 },
      { name: 'lates', type: 'float32', width: 1 },
    ],
    baseline: [],
  },
}

// series, float64
export const LAST_VALUE = 0
export const LAST_TIME = 1
// series, float32
export const LAST_KIND = 0

export const seriesPresence: RowPart = {
  name: 'last',
  version: 1,
  scope: 'series',
  fields: {
    present: [
      { name: 'value', type: 'float64', width: 1 },
      { name: 'time', type: 'float64', width: 1 },
      { name: 'kind', type: 'float32', width: 1 },
    ],
    baseline: [],
  },
}

/** ms the device could have been heard in and was not: covered time of its source since its last message, or the last tick of its quarantine. */
export function unheardMs(rows: Rows, device: number, covered: number): number {
  return covered - rows.float64[device * rows.stride64 + rows.at64 + LAST_COVERED]!
}

/** What tells a message from others of its device: 52 bits of (event time or none, payload hash with the sample's place in it). */
export function identityOf(claimed: number, payload: number): number {
  return combine52(claimed === claimed ? Math.abs(Math.round(claimed)) : 0, payload)
}

/** A repeat: same identity among the last 16; without an event time only when the transport says that it may be one. */
export function isRepeat(rows: Rows, device: number, identity: number, claimed: number, flags: number): boolean {
  if (claimed !== claimed && (flags & (FLAG_DUP | FLAG_RETAIN)) === 0) return false
  const o = device * rows.stride64 + rows.at64 + IDENTITY
  for (let i = 0; i < IDENTITIES; i++) if (rows.float64[o + i] === identity) return true
  return false
}

export function remember(rows: Rows, device: number, identity: number): void {
  const head = device * rows.stride32 + rows.at32 + IDENTITY_HEAD
  const at = rows.float32[head]!
  rows.float64[device * rows.stride64 + rows.at64 + IDENTITY + at] = identity
  rows.float32[head] = (at + 1) % IDENTITIES
}
