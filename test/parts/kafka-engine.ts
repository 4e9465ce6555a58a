/** How a Kafka program runs on this machine: by the local Java over jars of Maven Central, else in a container of its own image. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { once } from 'node:events'
import { capture, fetchJars, findJava, findProgram, hasJars } from '../../scripts/kafka-jars.mjs'
import { watchdog } from './watchdog.ts'

/** All that is short of a broker's memory. C1 alone and the serial collector start fastest. */
const JVM = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']
const DOCKER_ANSWERS_MS = 5000

export interface Program {
  /** Of the JVM, or of the client that follows its container. */
  readonly pid: number
  readonly isRunning: boolean
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

interface Run {
  readonly heapMb: number
  /** A class and its arguments. */
  readonly args: readonly string[]
  /** All files it reads and writes. */
  readonly folder: string
}

export interface KafkaEngine {
  /** To its end; throws with its output when it fails. */
  run(what: Run): Promise<void>
  /** Its output goes to `log`. */
  start(what: Run & { readonly log: string }): Program
}

/** What this machine can run that Kafka with, or why it can't. */
export async function kafkaEngine(version: string, say: (line: string) => void): Promise<KafkaEngine | { readonly missing: string }> {
  const java = await findJava()
  const reasons: string[] = []
  if (!java) reasons.push('no Java 17 or newer')
  else if (!hasJars(version) && !findProgram('mvn')) reasons.push('no Maven')
  else {
    try {
      return localEngine(java, await fetchJars(version, say))
    } catch (error) {
      reasons.push(`Maven fetched no Kafka ${version}: ${String(error).slice(0, 300)}`)
    }
  }
  if (await dockerAnswers()) return dockerEngine(`apache/kafka:${version}`)
  reasons.push('no Docker engine')
  return { missing: reasons.join(', ') }
}

async function dockerAnswers(): Promise<boolean> {
  if (!findProgram('docker')) return false
  return capture('docker', ['ps', '-q'], { timeoutMs: DOCKER_ANSWERS_MS }).then(
    () => true,
    () => false,
  )
}

/** No archive of loaded classes: it makes a start of 3.6 s one of 2.9 s, and takes 3 s to make. */
function localEngine(java: string, jars: string): KafkaEngine {
  const command = ({ heapMb, args }: Run) => [`-Xmx${heapMb}m`, ...JVM, ...args]
  const env = { ...process.env, CLASSPATH: `${jars}/*` }
  return {
    run: async (what) => void (await capture(java, command(what), { env })),
    start: (what) => {
      const child = logged(java, command(what), what.log, env)
      watchdog.hold('pid', child.pid!)
      child.once('exit', () => watchdog.letGo('pid', child.pid!))
      return program(child, () => void child.kill('SIGKILL'))
    },
  }
}

/** On the host's network, so that brokers in containers find each other, and we them, on 127.0.0.1. */
function dockerEngine(image: string): KafkaEngine {
  const user = `${process.getuid!()}:${process.getgid!()}`
  const container = ['run', '--rm', '--network', 'host', '--user', user, '--entrypoint', 'java']
  const command = (name: string, { heapMb, args, folder }: Run) => {
    const jvm = [`-Xmx${heapMb}m`, ...JVM, '-cp', '/opt/kafka/libs/*', ...args]
    return [...container, '--name', name, '--volume', `${folder}:${folder}`, image, ...jvm]
  }
  const newName = () => `picket-kafka-${process.pid}-${Math.random().toString(36).slice(2, 10)}`
  return {
    run: async (what) => void (await capture('docker', command(newName(), what))),
    start: (what) => {
      const name = newName()
      const child = logged('docker', command(name, what), what.log, process.env)
      watchdog.hold('box', name)
      child.once('exit', () => watchdog.letGo('box', name))
      return program(child, () => void capture('docker', ['kill', name]).catch(() => undefined)) // gone already
    },
  }
}

/** In a session of its own: Ctrl-C at the terminal ends the tests, which end their servers. */
function logged(command: string, args: readonly string[], log: string, env: NodeJS.ProcessEnv): ChildProcess {
  const file = openSync(log, 'a')
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', file, file] })
  closeSync(file)
  child.unref()
  return child
}

function program(child: ChildProcess, end: () => void): Program {
  const isRunning = () => child.exitCode === null && child.signalCode === null
  return {
    pid: child.pid!,
    get isRunning() {
      return isRunning()
    },
    kill: async () => {
      if (!isRunning()) return
      const ended = once(child, 'exit')
      child.ref()
      end()
      await ended
    },
  }
}
