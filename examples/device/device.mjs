#!/usr/bin/env node
/** A device from the command line: publishes a reading a second and obeys the device contract. `--help` tells the rest. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Device } from './device-client.mjs'

const USAGE = `node examples/device/device.mjs --device NAME [--class CLASS] [--url mqtt://127.0.0.1:1883]
  --every SECONDS     between two readings (1)
  --password TEXT     where the broker has credentials; the user is the device
  --public-key FILE   Ed25519 in PEM: rejects commands it did not sign
  --state FILE        keeps what a device must remember over a restart
  --odd SECONDS       vibration is far too high from then on, to see a quarantine`

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'mqtt://127.0.0.1:1883' },
    device: { type: 'string' },
    class: { type: 'string', default: 'pump' },
    every: { type: 'string', default: '1' },
    password: { type: 'string' },
    'public-key': { type: 'string' },
    state: { type: 'string' },
    odd: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help || !values.device) {
  console.log(USAGE)
  process.exit(values.help ? 0 : 2)
}

const { state } = values
const started = Date.now()
const device = new Device({
  url: values.url,
  device: values.device,
  topic: `telemetry/${values.class}/${values.device}`,
  ...(values.password === undefined ? {} : { password: values.password }),
  ...(values['public-key'] ? { publicKey: readFileSync(values['public-key']) } : {}),
  ...(state && existsSync(state) ? { remembered: JSON.parse(readFileSync(state, 'utf8')) } : {}),
  remember: (remembered) => {
    if (!state) return
    writeFileSync(`${state}.new`, JSON.stringify(remembered))
    renameSync(`${state}.new`, state)
  },
  log: (line) => console.log(`${new Date().toISOString()} ${values.device} ${line}`),
})

function readings() {
  const seconds = (Date.now() - started) / 1000
  const odd = values.odd !== undefined && seconds >= Number(values.odd)
  const swing = Math.sin(seconds / 20)
  return {
    ts: Date.now(),
    temperature: 60 + 2 * swing + Math.random(),
    vibration: (odd ? 40 : 2) + 0.2 * swing + 0.3 * Math.random(),
    running: true,
  }
}

const timer = setInterval(() => {
  device.publish(readings()).catch((error) => console.error(`not published: ${error.message}`))
}, Number(values.every) * 1000)

process.once('SIGINT', async () => {
  clearInterval(timer)
  await device.stop()
})
