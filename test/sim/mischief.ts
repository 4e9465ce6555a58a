/** What befalls the processes and devices of a seed, and when: all of it drawn before the world begins to turn. */
import type { Prng } from '../../src/fleet/prng.ts'
import type { MemoryCluster } from '../../src/log/memory.ts'
import type { FarBroker } from './far-broker.ts'
import type { FarDevice } from './far-device.ts'
import { BUSY, HEAL_AT } from './fleet.ts'
import type { LogFaults } from './log-faults.ts'
import type { Operators } from './operators.ts'
import type { SimOptions } from './options.ts'
import type { SimProcess } from './process.ts'
import type { Strays } from './strays.ts'
import type { SimClock, World } from './world.ts'

export interface Stage {
  readonly world: World
  readonly options: SimOptions
  readonly cluster: MemoryCluster
  readonly processes: readonly SimProcess[]
  readonly devices: readonly FarDevice[]
  readonly clocks: readonly SimClock[]
  readonly broker: FarBroker
  readonly faults: LogFaults
  readonly strays: Strays
  readonly operators: Operators
  readonly embedded: boolean
}

/** No wall clock is set further from the truth than this, ms: leases of 25 s have to mean something. */
const OFFSET_MOST = 8_000
const OPERATIONS = ['append', 'flush', 'commit', 'commit', 'fence', 'read'] as const

/** A kind of mischief: how it is done once. */
type Deed = (stage: Stage, draw: Prng) => void

export function scheduleMischief(stage: Stage, draw: Prng): void {
  const { crashes, owners, leaders, clocks, network, log, far, configChange, operators } = stage.options
  const deeds: readonly (readonly [string, number, Deed])[] = [
    ['crash', crashes.betweenEvents, crash],
    ['crash between awaits', crashes.betweenAwaits, crashBetweenAwaits],
    ['crash in an operation', crashes.inOperations, crashInOperation],
    ['stop', crashes.stops, (_, own) => restart(stage, own.pick(stage.processes), own)],
    ['owner', owners.moves, moveOwner],
    ['leader', leaders.moves, moveLeader],
    ['clock', clocks.steps, setClock],
    ['break', network.breaks, (_, own) => own.pick(stage.devices).hangUp()],
    ['refusal', log.refusals, (_, own) => stage.faults.refuse(own.pick(stage.processes).name, own.between(50, 3_000))],
    ['loss', log.losses, () => stage.faults.lose()],
    ['release', operators.releases, (_, own) => stage.operators.release(own)],
    ['silence', operators.silences, (_, own) => stage.operators.silence(own)],
    ['switch', operators.switches, (_, own) => stage.operators.throwSwitch(own)],
    ['reboot', far.reboots ? 2 : 0, reboot],
    ['reboot of a quarantined device', far.reboots ? 8 : 0, rebootQuarantined],
  ]
  for (const [name, count, deed] of deeds) {
    for (let i = 0; i < count; i++) {
      const own = draw.fork(`${name} ${i}`)
      const [from, to] = own.chance(0.6) ? own.pick(BUSY) : ([3_000, HEAL_AT - 10_000] as const)
      stage.world.after(own.between(from, to), () => deed(stage, own))
    }
  }
  if (configChange) stage.world.after(draw.between(30_000, HEAL_AT - 20_000), () => changeConfig(stage, draw.fork('config')))
}

const crash: Deed = (stage, draw) => die(stage, draw.pick(stage.processes), draw)

const crashBetweenAwaits: Deed = (stage, draw) => {
  const turns = draw.whole(1, 60)
  const victim = draw.pick(stage.processes)
  stage.world.beforeNext(() => void inTurns(turns).then(() => die(stage, victim, draw)))
}

const crashInOperation: Deed = (stage, draw) => {
  const victim = draw.pick(stage.processes)
  stage.faults.trap(victim.name, draw.pick(OPERATIONS), draw.whole(0, 5), () => die(stage, victim, draw))
}

const moveOwner: Deed = (stage, draw) => {
  const partition = draw.whole(0, stage.options.partitions - 1)
  move(stage, draw, { unnoticed: stage.options.owners.unnoticed, to: (log, how) => stage.cluster.assign(partition, log, how) })
}

const moveLeader: Deed = (stage, draw) =>
  move(stage, draw, { unnoticed: stage.options.leaders.unnoticed, to: (log, how) => stage.cluster.assignLeader('respond', log, how) })

const setClock: Deed = ({ clocks, options }, draw) => {
  const clock = draw.pick(clocks)
  const offset = clock.offset + draw.pick([-1, 1]) * draw.between(1, options.clocks.stepMs)
  clock.set(Math.max(-OFFSET_MOST, Math.min(OFFSET_MOST, offset)))
}

/** What a fast device holds when it loses power would be missing from the many readings its gate has to see. */
const reboot: Deed = ({ devices }, draw) =>
  draw.pick(devices.filter(({ wiring }) => wiring.spec.periodMs > 100)).reboot(draw.between(200, 4_000))

const rebootQuarantined: Deed = ({ devices }, draw) => {
  const quarantined = devices.filter((device) => device.contract.isQuarantined)
  if (quarantined.length > 0) draw.pick(quarantined).reboot(draw.between(200, 4_000))
}

/** Resolves after so many turns of whatever else is awaited meanwhile. */
async function inTurns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve()
}

function die({ world, broker, embedded }: Stage, victim: SimProcess, draw: Prng): void {
  victim.crash()
  if (embedded) broker.forget()
  world.after(draw.between(100, 6_000), () => victim.start())
}

function restart({ world, broker, embedded }: Stage, victim: SimProcess, draw: Prng): void {
  victim.stop(() => {
    if (embedded) broker.forget()
    world.after(draw.between(100, 3_000), () => victim.start())
  })
}

interface Move {
  readonly unnoticed: number
  readonly to: (log: NonNullable<SimProcess['log']>, options: { readonly notice: boolean }) => void
}

/** Another process is given the seat; the old holder hears of it at once, or later, or only from its next commit. */
function move(stage: Stage, draw: Prng, { unnoticed, to }: Move): void {
  const { world, cluster, processes } = stage
  const log = draw.pick(processes).log
  const notice = !draw.chance(unnoticed)
  if (log?.live) to(log, { notice })
  // Seats that change hands again at once show what a takeover left half done.
  if (draw.chance(0.4)) world.after(draw.between(50, 3_000), () => move(stage, draw, { unnoticed, to }))
  if (notice || draw.chance(0.3)) return
  world.after(draw.between(500, 8_000), () => {
    for (const process of processes) if (process.log) cluster.notice(process.log)
  })
}

/** Other settings in every process's file; each reads them when it starts next, and that is soon. */
function changeConfig(stage: Stage, draw: Prng): void {
  for (const process of stage.processes) {
    process.version = 'second'
    stage.world.after(draw.between(0, 4_000), () => (draw.chance(0.5) ? restart(stage, process, draw) : die(stage, process, draw)))
  }
}
