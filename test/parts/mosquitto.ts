/** A real Mosquitto for tests, on free ports of 127.0.0.1. */
import { type ChildProcess, spawn } from 'node:child_process'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '../../scripts/kafka-jars.mjs'
import { type Certificates, makeCertificates } from './certificates.ts'
import { freePorts, listening } from './ports.ts'
import { makeFolder, watchdog } from './watchdog.ts'

const START_MS = 30_000
const STARTS = 3
const PORT_TAKEN = /Address already in use/
/** Mosquitto drops silently what is beyond it; 0, "no limit", has a bug up to 2.0.22. */
const QUEUED = 10_000_000

export interface MosquittoWanted {
  /** Lines of mosquitto.conf that hold for all of it. */
  readonly lines?: readonly string[]
  /** Name → password; left out: anybody may come in. */
  readonly users?: Readonly<Record<string, string>>
  /** An ACL file's text. */
  readonly acl?: string
  /** A TLS door; `lines` are that listener's, such as `require_certificate true`. */
  readonly tls?: { readonly lines?: readonly string[] }
  readonly websockets?: boolean
  /** Sessions and queues outlive `stop` and `restart`; `kill` loses what came since the last autosave (1 s). */
  readonly persistence?: boolean
}

export interface RunningMosquitto {
  readonly port: number
  /** 0: was not wanted. The same of `wsPort`. */
  readonly tlsPort: number
  readonly wsPort: number
  /** As of now. */
  readonly pid: number
  /** null: no TLS was wanted. */
  readonly certificates: Certificates | null
  /** All it logged. */
  log(): Promise<string>
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGTERM if it runs, then anew on the same ports. */
  restart(): Promise<void>
  /** It is gone after it, and what it wrote. */
  stop(): Promise<void>
}

export function mosquittoMissing(): string | null {
  return findProgram('mosquitto') ? null : 'no mosquitto'
}

/** Resolves when it takes connections. Throws with its log when it does not start. */
export async function startMosquitto(wanted: MosquittoWanted = {}): Promise<RunningMosquitto> {
  const binary = findProgram('mosquitto')
  if (!binary) throw new Error('there is no mosquitto; Debian has it in the package of that name')
  for (let tries = 1; ; tries++) {
    const { path, remove } = await makeFolder('mosquitto')
    const broker = new Mosquitto(binary, path, remove)
    try {
      await broker.start(wanted)
      return broker
    } catch (error) {
      await broker.stop()
      if (tries === STARTS || !PORT_TAKEN.test(String(error))) throw error
    }
  }
}

class Mosquitto implements RunningMosquitto {
  readonly #binary: string
  readonly #folder: string
  readonly #remove: () => Promise<void>
  #child: ChildProcess | null = null
  port = 0
  tlsPort = 0
  wsPort = 0
  certificates: Certificates | null = null

  constructor(binary: string, folder: string, remove: () => Promise<void>) {
    this.#binary = binary
    this.#folder = folder
    this.#remove = remove
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  log(): Promise<string> {
    return readFile(join(this.#folder, 'mosquitto.log'), 'utf8')
  }

  async start(wanted: MosquittoWanted): Promise<void> {
    const [port, tlsPort, wsPort] = (await freePorts(3)) as [number, number, number]
    this.port = port
    if (wanted.tls) {
      this.tlsPort = tlsPort
      this.certificates = await makeCertificates(this.#folder)
    }
    if (wanted.websockets) this.wsPort = wsPort
    await writeFile(join(this.#folder, 'mosquitto.conf'), `${[...(await this.#general(wanted)), ...this.#doors(wanted)].join('\n')}\n`)
    await this.#run()
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  async restart(): Promise<void> {
    await this.#end('SIGTERM')
    await this.#run()
  }

  async stop(): Promise<void> {
    await this.#end('SIGKILL')
    await this.#remove()
  }

  async #general({ lines = [], users, acl, persistence = false }: MosquittoWanted): Promise<string[]> {
    const conf = [
      `user ${userInfo().username}`, // started by root it would become `mosquitto`, who can't read our folder
      `allow_anonymous ${users ? 'false' : 'true'}`,
      `max_queued_messages ${QUEUED}`,
      'log_dest stdout',
      'log_timestamp_format %H:%M:%S',
      ...(persistence ? ['persistence true', `persistence_location ${this.#folder}/`, 'autosave_interval 1'] : []),
    ]
    if (users) {
      conf.push(`password_file ${join(this.#folder, 'users')}`)
      const entries = Object.entries(users).map(([name, password]) => `${name}:${passwordHash(password)}\n`)
      await writeFile(join(this.#folder, 'users'), entries.join(''), { mode: 0o600 })
    }
    if (acl !== undefined) {
      conf.push(`acl_file ${join(this.#folder, 'acl')}`)
      await writeFile(join(this.#folder, 'acl'), acl, { mode: 0o600 })
    }
    return [...conf, ...lines]
  }

  #doors({ tls }: MosquittoWanted): string[] {
    const conf = [`listener ${this.port} 127.0.0.1`]
    if (this.certificates) {
      const { ca, server } = this.certificates
      conf.push(`listener ${this.tlsPort} 127.0.0.1`, `cafile ${ca}`, `certfile ${server.cert}`, `keyfile ${server.key}`, ...(tls?.lines ?? []))
    }
    if (this.wsPort > 0) conf.push(`listener ${this.wsPort} 127.0.0.1`, 'protocol websockets')
    return conf
  }

  async #run(): Promise<void> {
    const log = openSync(join(this.#folder, 'mosquitto.log'), 'a')
    const child = spawn(this.#binary, ['-c', join(this.#folder, 'mosquitto.conf')], { detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    child.unref()
    await once(child, 'spawn')
    this.#child = child
    watchdog.hold('pid', child.pid!)
    child.once('exit', () => watchdog.letGo('pid', child.pid!))
    const check = () => {
      if (hasEnded(child)) throw new Error('it ended at its start')
    }
    try {
      for (const port of [this.port, this.tlsPort, this.wsPort]) if (port > 0) await listening(port, check, START_MS)
    } catch (error) {
      throw new Error(`mosquitto: ${error}\n${(await this.log()).slice(-2000)}`, { cause: error })
    }
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (!child || hasEnded(child)) return
    const ended = once(child, 'exit')
    child.ref()
    child.kill(signal)
    await ended
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** As mosquitto_passwd writes it: PBKDF2 over SHA-512. */
function passwordHash(password: string): string {
  const [salt, rounds] = [randomBytes(12), 101]
  return `$7$${rounds}$${salt.toString('base64')}$${pbkdf2Sync(password, salt, rounds, 64, 'sha512').toString('base64')}`
}
