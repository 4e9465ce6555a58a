/**
 * Makes the secrets of docker-compose.yml on its first start: random, each in the volume of who needs it, none in the repository.
 * What is there stays, so that nobody is locked out by a second start. Run in the image of Picket, as root with CAP_CHOWN and no network.
 *
 *   node secrets.mjs              makes what is missing
 *   node secrets.mjs stay         the same, and then waits for SIGTERM: what depends on it finds it running
 *   node secrets.mjs device NAME  makes a log-in for a device of yours, or a new one, and prints its password
 */
import { existsSync, chmodSync, chownSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pbkdf2Sync, randomBytes } from 'node:crypto'

const ROOT = process.env.SECRETS ?? '/secrets'
const PICKET = process.env.PICKET ?? '/picket'
const ACL = process.env.ACL ?? '/mosquitto/acl'
/** Who reads them: the user of Picket's image, and of Mosquitto's. Kafka's has another number in each image; its volume is its own. */
const PICKET_UID = 1000
const MOSQUITTO_UID = 1883
/** As mosquitto_passwd has it. */
const ITERATIONS = 101

/** Readers may look at it and nobody else; `uid` null: whoever has the volume. */
function write(file, text, uid) {
  const path = join(ROOT, file)
  mkdirSync(dirname(path), { recursive: true })
  const fresh = `${path}.new`
  writeFileSync(fresh, text, { mode: 0o600 })
  chmodSync(fresh, uid === null ? 0o444 : 0o400)
  if (uid !== null && process.getuid() === 0) chownSync(fresh, uid, uid)
  renameSync(fresh, path)
}

const random = () => randomBytes(24).toString('base64url')

/** A line of Mosquitto's password file, which Picket's embedded broker reads too. */
function hashed(user, password) {
  const salt = randomBytes(12)
  const hash = pbkdf2Sync(password, salt, ITERATIONS, 64, 'sha512')
  return `${user}:$7$${ITERATIONS}$${salt.toString('base64')}$${hash.toString('base64')}`
}

/** The lines of the password file by user, as they are kept with us. */
function readUsers() {
  const path = join(ROOT, 'kept/passwords')
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line]))
}

function writeUsers(users) {
  const text = [...users.values()].map((line) => `${line}\n`).join('')
  write('kept/passwords', text, 0)
  write('mosquitto/passwords', text, MOSQUITTO_UID)
}

async function makeAll() {
  const { drawFleet } = await import(join(PICKET, 'dist/fleet/demo-fleet.js'))
  const kafka = { 'picket-ingest': random(), 'picket-detect': random(), 'picket-respond': random(), admin: random() }
  const mqtt = { 'picket-ingest': random(), 'picket-respond': random(), health: random() }
  const devices = drawFleet(0).devices.map(({ member }) => [member.id, random()])
  const token = random()

  write('ingest/mqtt', mqtt['picket-ingest'], PICKET_UID)
  write('respond/mqtt', mqtt['picket-respond'], PICKET_UID)
  for (const role of ['ingest', 'detect', 'respond']) {
    write(`${role}/kafka`, kafka[`picket-${role}`], PICKET_UID)
    write(`${role}/api`, token, PICKET_UID)
  }
  write('kafka-admin/kafka', kafka.admin, PICKET_UID)
  write('fleet/devices', devices.map(([device, password]) => `${device}:${password}\n`).join(''), PICKET_UID)
  write('mosquitto/health', mqtt.health, MOSQUITTO_UID)
  const users = Object.entries(kafka).map(([user, password]) => `  user_${user}="${password}"`)
  write('kafka/jaas.conf', `KafkaServer {\n  org.apache.kafka.common.security.plain.PlainLoginModule required\n${users.join('\n')};\n};\n`, null)
  // Last: it says that all the others are there.
  writeUsers(new Map([...Object.entries(mqtt), ...devices].map(([user, password]) => [user, hashed(user, password)])))
}

function addDevice(name) {
  if (!/^[^\s:+#/%$]{1,128}$/.test(name)) throw new Error(`${JSON.stringify(name)} is no name a device can log in under: no spaces, : + # / % or $`)
  const users = readUsers()
  if (users.size === 0) throw new Error('there are no secrets yet: start the composition first')
  if (/^picket-|^health$/.test(name)) throw new Error(`${name} is a name of Picket's own`)
  const password = random()
  writeUsers(users.set(name, hashed(name, password)))
  process.stdout.write(`${password}\n`)
}

/** As process 1 nothing ends it but what it listens for. */
function stay() {
  writeFileSync('/tmp/done', '')
  const timer = setInterval(() => {}, 2 ** 30)
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => clearInterval(timer))
}

const [command, name = ''] = process.argv.slice(2)
try {
  // Newer versions of Mosquitto refuse one that is not its own.
  write('mosquitto/acl', readFileSync(ACL, 'utf8'), MOSQUITTO_UID)
  if (command === 'device') addDevice(name)
  else if (readUsers().size === 0) {
    await makeAll()
    process.stdout.write('secrets made\n')
  } else process.stdout.write('secrets are there\n')
  if (command === 'stay') stay()
} catch (error) {
  process.stderr.write(`secrets: ${error.message}\n`)
  process.exitCode = 1
}
