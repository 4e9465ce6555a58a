/** The devices of all processes that have some, as one list by id: each tells which others have the rest. */
import type { DeviceView } from '../core/device.ts'
import type { ApiClient } from './api-client.ts'
import type { Output } from './io.ts'

export interface DeviceRowsPorts {
  /** A client of the Picket at this URL. */
  readonly clientAt: (url: string) => ApiClient
  readonly stderr: Output
}

/** As the API gives them beside the devices of a process. */
interface Elsewhere {
  readonly owner: string | null
  readonly partitions: readonly number[]
}

interface Answer {
  readonly elsewhere?: readonly Elsewhere[]
}

/** Processes asked at most: there are no more partitions. */
const PROCESSES = 1_024

/** By id, in code unit order; a device that two claim, as one takes it over, comes once. Says which partitions nobody was named for. Throws Failure. */
export async function* deviceRows(ports: DeviceRowsPorts, url: string): AsyncGenerator<DeviceView> {
  const lists = await listsFrom(ports, url)
  let last: string | null = null
  for (;;) {
    const next = lists.filter((list) => list.head !== undefined).sort((a, b) => byCodeUnit(a.head!.id, b.head!.id))[0]
    if (!next) return
    const row = next.head!
    next.head = await headOf(next.rows)
    if (row.id !== last) yield row
    last = row.id
  }
}

interface List {
  readonly rows: AsyncGenerator<DeviceView>
  head: DeviceView | undefined
}

/** The first page of each process names further ones. */
async function listsFrom({ clientAt, stderr }: DeviceRowsPorts, url: string): Promise<List[]> {
  const lists: List[] = []
  const asked = new Set([url])
  const unknown = new Set<number>()
  for (const at of asked) {
    const each = ({ elsewhere = [] }: Answer) => {
      for (const { owner, partitions } of elsewhere) {
        if (owner === null) for (const partition of partitions) unknown.add(partition)
        else if (asked.size < PROCESSES) asked.add(owner)
      }
    }
    const rows = clientAt(at).list<DeviceView>('/api/v1/devices', {}, 'devices', each)
    lists.push({ rows, head: await headOf(rows) })
  }
  if (unknown.size > 0) stderr.write(`not among these: devices of the partitions ${[...unknown].sort((a, b) => a - b).join(', ')}, whose process is not known\n`)
  return lists
}

async function headOf(rows: AsyncGenerator<DeviceView>): Promise<DeviceView | undefined> {
  const { value, done } = await rows.next()
  return done ? undefined : value
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
