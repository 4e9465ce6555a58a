/** The device's side of Picket's device contract, version 1 (docs/device.md): a small MQTT client to copy from. */
import { createPublicKey, verify } from 'node:crypto'
import mqtt from 'mqtt'

const VERSION = 1
/** Ids of commands that are remembered, with the answer each got. */
const IDS_KEPT = 32
/** Longest wait of a timer in Node, ms. */
const LONGEST_TIMER = 2 ** 31 - 1
/** How long a quarantine lasts when only its release will end it. */
const UNKNOWN = Number.POSITIVE_INFINITY

/**
 * @typedef {object} Remembered What a device keeps over a restart: a file, a page of flash.
 * @property {number} generation Of the newest command or desired state it obeyed; 0 at first.
 * @property {{id: string, status: string, reason: string}[]} answers Newest last.
 *
 * @typedef {object} DeviceOptions
 * @property {string} url mqtt://host:port
 * @property {string} device Its name; with credentials also the user name.
 * @property {string} topic Where readings go: telemetry/pump/pump-7
 * @property {string} [password]
 * @property {string | Buffer} [publicKey] Ed25519 in PEM: commands that it did not sign are rejected. Without it any command is obeyed.
 * @property {boolean} [hasClock] false: it counts `ttl` seconds from receipt instead of comparing times. Default true.
 * @property {() => number} [now] ms since epoch.
 * @property {Remembered} [remembered] What `remember` was given last.
 * @property {(remembered: Remembered) => void} [remember] Called before a command is answered.
 * @property {(quarantined: boolean, reason: string) => void} [onQuarantine] Stop the motor, close the valve.
 * @property {(line: string) => void} [log]
 * @property {object} [mqttOptions] Passed on to mqtt.connect.
 */

export class Device {
  /** @param {DeviceOptions} options */
  constructor(options) {
    this.options = options
    this.now = options.now ?? Date.now
    this.log = options.log ?? (() => undefined)
    this.publicKey = options.publicKey ? createPublicKey(options.publicKey) : null
    this.generation = options.remembered?.generation ?? 0
    /** @type {Map<string, {status: string, reason: string}>} */
    this.answers = new Map((options.remembered?.answers ?? []).map(({ id, status, reason }) => [id, { status, reason }]))
    this.isQuarantined = false
    this.endTimer = undefined
    const level = encodeDeviceLevel(options.device)
    this.topics = { command: `picket/${level}/command`, desired: `picket/${level}/desired`, ack: `picket/${level}/ack` }
    this.client = this.connect()
  }

  /** @private */
  connect() {
    const { url, device, password, mqttOptions } = this.options
    const login = password === undefined ? {} : { username: device, password }
    const outgoingStore = new ResendStore()
    const client = mqtt.connect(url, { clientId: device, protocolVersion: 4, resubscribe: false, outgoingStore, ...login, ...mqttOptions })
    // Desired first: its retained state is there before any command.
    client.on('connect', () => client.subscribe([this.topics.desired, this.topics.command], { qos: 1 }))
    client.on('message', (topic, payload) => this.receive(topic, payload))
    client.on('error', (error) => this.log(`mqtt: ${error.message}`))
    return client
  }

  /**
   * Publishes readings as {metric: value}; resolves with true when Picket has them durably, with false, at once, while quarantined.
   * A message that got no answer is sent again by the client when it is connected again, flagged DUP.
   * @param {Record<string, unknown>} readings
   */
  async publish(readings) {
    if (this.isQuarantined) return false
    await this.client.publishAsync(this.options.topic, JSON.stringify(readings), { qos: 1 })
    return true
  }

  async stop() {
    clearTimeout(this.endTimer)
    await this.client.endAsync()
  }

  /** @private */
  receive(topic, payload) {
    const message = parse(payload)
    if (message?.v !== VERSION) return this.log(`${topic}: not a message of version ${VERSION}`)
    if (topic === this.topics.command) this.obey(message)
    if (topic === this.topics.desired) this.adopt(message)
  }

  /** @private An id is executed once; a repeat gets the answer the first got. */
  obey(command) {
    const known = this.answers.get(command.id)
    if (known) return this.answer(command, known.status, known.reason)
    // Not remembered: a forger must not be able to spoil an id.
    if (!this.isCommandSigned(command)) return this.answer(command, 'rejected', 'bad signature')
    const refusal = this.refusalOf(command)
    if (refusal) return this.settle(command, 'rejected', refusal)
    this.answer(command, 'accepted', '')
    this.generation = command.generation
    if (command.kind === 'quarantine') this.quarantine(this.left(command.expires, command.ttl), command.reason)
    else this.release(command.reason)
    this.settle(command, 'done', '')
  }

  /** @private */
  isCommandSigned({ v, id, generation, kind, device, issued, expires, reply, reason, sig }) {
    return this.isSigned([v, id, generation, kind, device, issued, expires, reply, reason], sig)
  }

  /** @private */
  refusalOf(command) {
    const { id, generation, kind, device, expires, ttl } = command
    if (typeof id !== 'string' || !Number.isSafeInteger(generation)) return 'no id or generation'
    if (device !== this.options.device) return `for ${device}, not for ${this.options.device}`
    if (kind !== 'quarantine' && kind !== 'release') return `unknown kind ${kind}`
    // The release of a quarantine that is over does no harm.
    if (kind === 'quarantine' && !(this.left(expires, ttl) > 0)) return 'expired'
    // Its desired state, of the same generation, comes first and may have done it already.
    const isDone = generation === this.generation && this.isQuarantined === (kind === 'quarantine')
    return generation > this.generation || isDone ? '' : `generation ${generation} is not newer than ${this.generation}`
  }

  /** @private The retained state, for a device that was away when the command came. It is not answered. */
  adopt(desired) {
    const { v, state, generation, until, reason, sig } = desired
    const isSane = Number.isSafeInteger(generation) && (state === 'normal' || state === 'quarantined')
    if (!isSane) return this.log('desired: no generation or state')
    const lines = [v, '', generation, state, this.options.device, '', until ?? '', '', reason]
    if (!this.isSigned(lines, sig)) return this.log('desired: bad signature')
    if (generation < this.generation) return
    this.generation = generation
    // Without a clock the rest of the quarantine is unknown: it lasts until the release, or a command with its ttl.
    const left = this.left(until, UNKNOWN)
    if (state === 'quarantined' && left > 0) this.quarantine(left, reason)
    else this.release(reason)
    this.remember()
  }

  /** @private ms that are left until a time, or by a count of seconds from now where there is no clock. */
  left(until, ttlSeconds) {
    if (!(this.options.hasClock ?? true)) return ttlSeconds === UNKNOWN ? UNKNOWN : finite(ttlSeconds * 1000)
    return finite(until - this.now())
  }

  /** @private */
  isSigned(lines, sig) {
    if (!this.publicKey) return true
    if (typeof sig !== 'string') return false
    return verify(null, Buffer.from(lines.join('\n'), 'utf8'), this.publicKey, Buffer.from(sig, 'base64'))
  }

  /** @private A quarantine ends by itself: nobody has to reach the device for that. */
  quarantine(ms, reason) {
    clearTimeout(this.endTimer)
    this.switch(true, reason)
    if (ms === UNKNOWN) return
    const goOn = () => (ms > LONGEST_TIMER ? this.quarantine(ms - LONGEST_TIMER, reason) : this.release('quarantine over'))
    this.endTimer = setTimeout(goOn, Math.min(ms, LONGEST_TIMER))
  }

  /** @private */
  release(reason) {
    clearTimeout(this.endTimer)
    this.switch(false, reason)
  }

  /** @private */
  switch(quarantined, reason) {
    if (this.isQuarantined === quarantined) return
    this.isQuarantined = quarantined
    this.log(quarantined ? `quarantined: ${reason}` : `released: ${reason}`)
    this.options.onQuarantine?.(quarantined, reason)
  }

  /** @private */
  settle(command, status, reason) {
    if (typeof command.id === 'string') {
      this.answers.set(command.id, { status, reason })
      if (this.answers.size > IDS_KEPT) this.answers.delete(this.answers.keys().next().value)
    }
    this.remember()
    this.answer(command, status, reason)
  }

  /** @private */
  remember() {
    const answers = [...this.answers].map(([id, answer]) => ({ id, ...answer }))
    this.options.remember?.({ generation: this.generation, answers })
  }

  /** @private */
  answer({ id, generation }, status, reason) {
    this.client.publish(this.topics.ack, JSON.stringify({ v: VERSION, id, generation, status, reason }), { qos: 1 })
  }
}

/** mqtt.js sends again what got no answer, but without the DUP flag that MQTT asks for [MQTT-3.3.1-1]: what it keeps gets it here. */
export class ResendStore extends mqtt.Store {
  put(packet, done) {
    return super.put(packet.cmd === 'publish' ? { ...packet, dup: true } : packet, done)
  }
}

/** JSON may say 1e999: a quarantine until then would never end. What is no time is over. */
function finite(ms) {
  return Number.isFinite(ms) ? ms : 0
}

function parse(payload) {
  try {
    const message = JSON.parse(payload.toString('utf8'))
    return message !== null && typeof message === 'object' ? message : null
  } catch {
    return null // a device has nobody to tell; the caller logs it
  }
}

/** A device's name as one topic level: / % + # and NUL percent-encoded. */
function encodeDeviceLevel(device) {
  const escapes = { '/': '%2F', '%': '%25', '+': '%2B', '#': '%23', '\0': '%00' }
  return device.replace(/[/%+#\0]/g, (char) => escapes[char])
}
