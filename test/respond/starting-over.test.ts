/** A leader whose state was damaged: what it says, what it still knows, and that the ledger goes on. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Owned } from '../../src/log/log.ts'
import { verifyChain } from './chain.ts'
import { closing, incident, silent } from './fleet.ts'
import { Stage } from './stage.ts'

let stage: Stage
let errors: string[]

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
  errors = []
})

const logger = { ...silent, error: (_: unknown, message: string) => void errors.push(message) }

/** As the journal gives the state after damage: only these of its rows. */
function rowsOnly(rows: ReadonlyMap<string, unknown>): (owned: Owned) => Owned {
  return (owned) => ({
    signal: owned.signal,
    confirmed: () => owned.confirmed(),
    commit: (writes, cut) => owned.commit(writes, cut),
    restore: async (each) => {
      const restored = await owned.restore(() => undefined)
      for (const [key, row] of rows) each(key, Buffer.from(JSON.stringify(row)))
      return restored
    },
  })
}

async function quarantined(): Promise<void> {
  const first = await stage.start()
  first.enforcer.answers = ['done']
  await stage.tell(incident({ id: 'incident-0', device: 'pump-0' }))
  await stage.tell(closing({ id: 'incident-0', device: 'pump-0' }))
  await stage.tell(incident())
  await first.stop()
}

describe('a leader whose state is gone', () => {
  it('goes on with the ledger, says in it and aloud what was lost, and what to do', async () => {
    await quarantined()
    const written = stage.lines().length
    await stage.start({ around: rowsOnly(new Map()), logger })
    expect(verifyChain(stage.texts())).toMatchObject({ sound: true })
    expect(stage.lines()[written]).toMatchObject({ seq: written + 1, kind: 'note', action: 'loss', reason: expect.stringMatching(`starts empty, the ledger has ${written} lines`) })
    expect(errors).toEqual([expect.stringMatching(/^respond: the state of respond was damaged.*ends at its own end.*quarantine the device anew and release it/)])
  })

  it('tells nobody again of what was, and decides on what comes: the open incident, when it is revised, and its closing', async () => {
    await quarantined()
    const { notifier, enforcer } = await stage.start({ around: rowsOnly(new Map()), logger })
    expect([notifier.received, enforcer.commands, [...stage.rows('incident/').keys()]]).toEqual([[], [], ['incident/incident-1']])
    await stage.tell(incident({ revision: 2, updatedAt: stage.clock.now() }))
    expect(enforcer.commands).toMatchObject([{ kind: 'quarantine', lease: { device: 'pump-1', incident: 'incident-1' } }])
    await stage.tell(closing({ revision: 3 }))
    expect(notifier.received.map(({ incident: { id, revision } }) => [id, revision])).toEqual([['incident-1', 2], ['incident-1', 3]])
  })
})

describe('a leader whose state is of some commits ago', () => {
  it('goes on with the ledger behind what it does not know, and decides again on what came since', async () => {
    const first = await stage.start()
    await stage.tell(incident({ id: 'incident-0', device: 'pump-0' }))
    const rows = new Map(['lease/', 'incident/', 'outbox/', 'mark/', 'offset/', 'ledger', 'generation', 'config', 'pace'].flatMap((prefix) => [...stage.rows(prefix)]))
    const { seq } = rows.get('ledger') as { seq: number }
    await stage.tell(incident())
    await first.stop()
    const written = stage.lines().length
    expect(written).toBeGreaterThan(seq)
    const { enforcer } = await stage.start({ around: rowsOnly(rows), logger })
    expect(verifyChain(stage.texts())).toMatchObject({ sound: true })
    expect(errors).toEqual([expect.stringMatching(`is as of line ${seq}, the ledger has ${written} lines: incidents since are decided on again`)])
    expect(enforcer.commands.map(({ lease }) => lease.device)).toContain('pump-1')
  })
})

describe('a leader whose state is whole', () => {
  it('says nothing of the kind', async () => {
    await quarantined()
    await stage.start({ logger })
    expect([errors, stage.told('loss')]).toEqual([[], []])
  })
})
