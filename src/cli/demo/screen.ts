/** How a demonstration is shown: a line or an object at a time here, one live screen in `live-screen.ts`. */
import type { DeviceView } from '../../core/device.ts'
import type { Output } from '../io.ts'
import { visible } from '../table.ts'
import { elapsed, type Happening, isForPeople, tell } from './happening.ts'
import type { Verdict } from './verdict.ts'

export interface Place {
  readonly seed: number
  readonly mqtt: string
  readonly http: string
  /** ms since the fleet's start at which the first fault begins. */
  readonly faultsFrom: number
}

/** Where the demonstration stands. */
export interface Status {
  /** ms since the fleet's start. */
  readonly elapsed: number
  readonly devices: readonly Pick<DeviceView, 'id' | 'class' | 'state' | 'learning'>[]
  /** Acknowledged. */
  readonly messagesPerSecond: number
  readonly dropped: number
}

export interface Screen {
  /** Once all devices are connected. */
  begin(place: Place): void
  show(happening: Happening): void
  /** Some times a second. */
  stand(status: Status): void
  /** Last of all. */
  end(verdict: Verdict): void
}

const WORD_WIDTH = 10
const DEVICE_WIDTH = 11

/** `  0:41.2  critical    pump-07      limit: vibration is …` */
export function lineOf(happening: Happening): string {
  const { word, sentence } = tell(happening)
  return `${elapsed(happening.at).padStart(7)}  ${word.padEnd(WORD_WIDTH)}  ${happening.device.padEnd(DEVICE_WIDTH)}  ${visible(sentence)}`
}

/** For logs and pipes. */
export function plainScreen(out: Pick<Output, 'write'>): Screen {
  let hasLearnt = false
  return {
    begin({ seed, mqtt, http, faultsFrom }) {
      out.write(`seed ${seed}; npm run demo -- --seed ${seed} shows the same again\n`)
      out.write(`devices at ${mqtt}, API at ${http}/api/v1/incidents\n`)
      out.write(`the first fault begins after ${Math.round(faultsFrom / 1000)} s; until then what is normal is learnt\n`)
    },
    show(happening) {
      if (isForPeople(happening)) out.write(`${lineOf(happening)}\n`)
    },
    stand({ elapsed: at, devices, messagesPerSecond }) {
      if (hasLearnt || devices.length === 0 || devices.some(({ state }) => state === 'learning')) return
      hasLearnt = true
      out.write(`${elapsed(at).padStart(7)}  ${devices.length} devices have been learnt, ${Math.round(messagesPerSecond)} messages a second\n`)
    },
    end: (verdict) => out.write(`\n${verdict.text()}`),
  }
}

/** One JSON object a line; times in ms since the fleet's start. */
export function jsonScreen(out: Pick<Output, 'write'>): Screen {
  const write = (value: object) => out.write(`${JSON.stringify(value)}\n`)
  return {
    begin: (place) => write({ kind: 'begin', ...place }),
    show: (happening) => write(happening),
    stand: () => undefined,
    end: (verdict) => write({ kind: 'end', ...verdict.json() }),
  }
}
