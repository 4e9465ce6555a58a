/** A demonstration on one screen of a terminal, drawn anew some times a second: the fleet at a glance above, what happens below. Plain ANSI. */
import type { DeviceView } from '../../core/device.ts'
import type { Output } from '../io.ts'
import { visible } from '../table.ts'
import { elapsed, type Happening, isForPeople, tell } from './happening.ts'
import { lineOf, type Place, type Screen, type Status } from './screen.ts'

const ESC = '\x1b['
/** The other screen, without a cursor; and back. */
const ENTER = `${ESC}?1049h${ESC}?25l`
const LEAVE = `${ESC}?25h${ESC}?1049l`
const HOME = `${ESC}H`
const REST_OF_LINE = `${ESC}K`
const REST_OF_SCREEN = `${ESC}J`

/** SGR codes. */
const STYLES = { plain: '0', faint: '2', bold: '1', green: '32', yellow: '33', red: '31', alarm: '1;37;41', fence: '1;35', cyan: '36', free: '1;32' } as const
type Style = keyof typeof STYLES

/** A piece of a line. */
type Piece = readonly [text: string, style?: Style]

const GLYPHS: Readonly<Record<DeviceView['state'], readonly [string, Style]>> = {
  learning: ['·', 'faint'],
  normal: ['●', 'green'],
  odd: ['▲', 'yellow'],
  silent: ['○', 'cyan'],
  quarantined: ['■', 'fence'],
}
const WORDS: Readonly<Record<string, Style>> = {
  fault: 'faint',
  closed: 'faint',
  warning: 'yellow',
  minor: 'yellow',
  major: 'red',
  critical: 'alarm',
  QUARANTINE: 'fence',
  RELEASE: 'free',
  ack: 'cyan',
}
/** Happenings kept for the screen, and for what stands in the terminal afterwards. */
const KEPT = 400
const WORD_WIDTH = 10
const DEVICE_WIDTH = 11
const CLASS_WIDTH = 10

export function liveScreen(out: Output): Screen {
  const happenings: Happening[] = []
  let place: Place | null = null
  return {
    begin(at) {
      place = at
      out.write(ENTER)
    },
    show(happening) {
      if (!isForPeople(happening)) return
      happenings.push(happening)
      if (happenings.length > KEPT) happenings.shift()
    },
    stand(status) {
      if (!place) return
      const { columns, rows } = out.size?.() ?? { columns: 80, rows: 24 }
      const above = [...heading(place, status, happenings), ...fleetMap(status)]
      const below = timeline(happenings, Math.max(1, rows - above.length - 1))
      const lines = [...above, ...below].slice(0, rows)
      out.write(`${HOME}${lines.map((line) => `${painted(line, columns)}${REST_OF_LINE}`).join('\r\n')}${REST_OF_SCREEN}`)
    },
    end(verdict) {
      if (place) out.write(`${LEAVE}seed ${place.seed}\n`)
      out.write(`${happenings.map((happening) => `${lineOf(happening)}\n`).join('')}\n${verdict.text({ columns: out.size?.().columns ?? 80 })}`)
    },
  }
}

function heading({ seed, mqtt, http, faultsFrom }: Place, status: Status, happenings: readonly Happening[]): Piece[][] {
  const changes = happenings.filter((one) => one.kind === 'incident')
  const closed = new Set(changes.flatMap(({ change, incident }) => (change === 'closed' ? [incident.id] : [])))
  const open = new Set(changes.map(({ incident }) => incident.id).filter((id) => !closed.has(id)))
  const lost = status.dropped > 0 ? `, ${status.dropped} not sent` : ''
  const learnt = status.devices.length === 0 ? 0 : status.devices.reduce((sum, { learning }) => sum + learning, 0) / status.devices.length
  const hint = status.elapsed < faultsFrom ? `learning ${Math.floor(100 * learnt)} %, faults at ${elapsed(faultsFrom).replace(/\..$/, '')}` : `open incidents: ${open.size}`
  return [
    [['picket demo', 'bold'], [`  seed ${seed}  `], [elapsed(status.elapsed), 'bold'], [`  ${Math.round(status.messagesPerSecond)} messages/s${lost}  `], [hint, 'bold']],
    [[`${mqtt}  ${http}/api/v1/incidents  Ctrl-C ends it`, 'faint']],
    [],
  ]
}

/** A line a class, a sign a device. */
function fleetMap({ devices }: Status): Piece[][] {
  const classes = [...new Set(devices.map((device) => device.class))]
  const lines = classes.map((name): Piece[] => {
    const signs = devices.filter((device) => device.class === name).map(({ state }): Piece => [`${GLYPHS[state][0]} `, GLYPHS[state][1]])
    return [[visible(name).padEnd(CLASS_WIDTH)], ...signs]
  })
  const legend = (Object.keys(GLYPHS) as DeviceView['state'][]).flatMap((state): Piece[] => {
    return [GLYPHS[state], [` ${state} ${devices.filter((device) => device.state === state).length}   `]]
  })
  return [...lines, [], legend, []]
}

/** The newest below. */
function timeline(happenings: readonly Happening[], rows: number): Piece[][] {
  return happenings.slice(-rows).map((happening) => {
    const { word, sentence } = tell(happening)
    const style = WORDS[word.replace('↑ ', '')] ?? 'plain'
    const isFaint = style === 'faint'
    return [
      [`${elapsed(happening.at).padStart(7)}  `, 'faint'],
      [word.padEnd(WORD_WIDTH), style],
      [`  ${visible(happening.device).padEnd(DEVICE_WIDTH)}  `, isFaint ? 'faint' : 'bold'],
      [visible(sentence), isFaint ? 'faint' : 'plain'],
    ]
  })
}

/** No longer than the screen is wide, so that no line breaks. */
function painted(pieces: readonly Piece[], columns: number): string {
  let room = columns
  let text = ''
  for (const [piece, style = 'plain'] of pieces) {
    const shown = piece.length > room ? `${piece.slice(0, Math.max(0, room - 1))}…` : piece
    if (room > 0) text += `${ESC}${STYLES[style]}m${shown}${ESC}0m`
    room -= shown.length
  }
  return text
}
