/** What is not here: which role and process has it, said as 421 with that process as owner; and the question whether a device of another is known there. */
import type { Role } from '../core/role.ts'
import { ApiError, echoed } from './answers.ts'
import type { Views } from './views.ts'

/** Asks the process at `owner`, `host:port`, whether it knows the device; null: no answer that says so. Never rejects. */
export type AskOwner = (owner: string, device: string) => Promise<boolean | null>

/** `owner`: `host:port`, where known. */
export function misdirected(message: string, owner: string | null): ApiError {
  const url = owner === null ? null : `http://${owner}`
  return new ApiError(421, 'misdirected', url === null ? message : `${message}; ask ${url}`, url)
}

/** Throws 421 where the role is not this process's. `place`: what its holder holds, to name it; null: nobody is known. */
export function needRole(app: Views, role: Role, place: string | null): void {
  if (app.roles.includes(role)) return
  const owner = place === null ? null : app.holder(place)
  throw misdirected(`this needs the role ${role}; this process has ${app.roles.join(', ')}`, owner)
}

export function readingsOf(app: Views, device: string): string {
  return `readings/${app.devices.partitionOf(device)}`
}

/** Throws 421 for a device of a partition that another process works through. */
export function refuseElsewhere(app: Views, device: string): void {
  const partition = app.devices.partitionOf(device)
  const other = app.devices.elsewhere().find((one) => one.partition === partition)
  if (other) throw misdirected(`device '${echoed(device)}' is of readings/${partition}, which another process works through`, other.owner)
}

export interface PartsElsewhere {
  /** URL of a process; null: not known. */
  readonly owner: string | null
  readonly partitions: readonly number[]
}

/** By owner. */
export function partsElsewhere(app: Views): readonly PartsElsewhere[] {
  const parts = new Map<string | null, number[]>()
  for (const { partition, owner } of app.devices.elsewhere()) parts.set(owner, [...(parts.get(owner) ?? []), partition])
  return [...parts].map(([owner, partitions]) => ({ owner: owner === null ? null : `http://${owner}`, partitions }))
}
