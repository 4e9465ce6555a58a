/** Requirement: what was acknowledged stands in the log; more than once only where a reader can tell the repeat. */
import type { FarDevice, Outgoing } from './far-device.ts'
import { type LoggedMessage, messagesOf } from './reader.ts'
import { partitionsOf } from './requirements.ts'
import type { Outcome } from './simulation.ts'

export function ackedStand(outcome: Outcome): string | null {
  const logged = loggedByMark(outcome)
  const letters = deadLetters(outcome)
  for (const device of outcome.devices) {
    for (const message of device.sent) {
      const broken = message.values === null ? buried(message, letters) : standing(device, message, logged)
      if (broken !== null) return `${device.id}, message ${message.packet}: ${broken}`
    }
  }
  return null
}

/** Messages of each device by what marks them: the text they carry, or the one value of a plain number. */
function loggedByMark(outcome: Outcome): Map<string, LoggedMessage[]> {
  const found = new Map<string, LoggedMessage[]>()
  for (const records of partitionsOf(outcome, 'readings')) {
    for (const message of messagesOf(records)) {
      const key = keyOf(message.device, String(message.metrics.get('mark') ?? [...message.metrics.values()][0]))
      const known = found.get(key)
      if (known) known.push(message)
      else found.set(key, [message])
    }
  }
  return found
}

function keyOf(device: string, mark: string): string {
  return `${device}\n${mark}`
}

function standing(device: FarDevice, message: Outgoing, logged: ReadonlyMap<string, readonly LoggedMessage[]>): string | null {
  const values = message.values!
  const copies = logged.get(keyOf(device.id, message.mark || String([...values.values()][0]))) ?? []
  if (copies.length === 0) return message.acked ? 'was acknowledged and is not in the log' : null
  if (copies.length > message.handed) return `stands ${copies.length} times in the log, and was handed over ${message.handed} times`
  for (const copy of copies) {
    if (copy.time !== copies[0]!.time && !Number.isNaN(copy.time)) return 'has another time in each copy'
    if (copy.payload !== copies[0]!.payload) return 'has another identity in each copy'
    for (const [metric, value] of values) {
      const isRight = copy.metrics.has(metric) ? copy.metrics.get(metric) === value : metric.startsWith('invented')
      if (!isRight) return `stands in the log with another ${metric}`
    }
  }
  const canTell = device.wiring.stamp !== null || copies.filter((copy) => !copy.dup).length <= 1
  return canTell ? null : 'stands more than once without a time or flag to tell it by'
}

/** How often each refused payload was buried, by its bytes in base64. */
function deadLetters(outcome: Outcome): Map<string, number> {
  const found = new Map<string, number>()
  for (const records of partitionsOf(outcome, 'dead-letters')) {
    for (const { value } of records) {
      const { payload } = JSON.parse(Buffer.from(value!).toString('utf8')) as { payload: string }
      found.set(payload, (found.get(payload) ?? 0) + 1)
    }
  }
  return found
}

/** Bytes of a payload that a dead letter keeps. */
const KEPT = 4_096

function buried(message: Outgoing, letters: ReadonlyMap<string, number>): string | null {
  const kept = message.payload.subarray(0, KEPT).toString('base64')
  return message.acked && !letters.has(kept) ? 'was poison, acknowledged, and is no dead letter' : null
}
