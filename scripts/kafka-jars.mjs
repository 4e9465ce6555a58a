/** Apache Kafka out of Maven Central, once a machine: found, or fetched into the user's cache, for tests and `npm run parts`. */
import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

export const KAFKA_VERSIONS = ['3.9.2', '4.4.0']
const OLDEST_JAVA = 17
const LOCK_POLL_MS = 250
/** Longer than a slow download; whoever waited that long fetches by itself, which harms nobody. */
const LOCK_WAIT_MS = 240_000

/**
 * @param {string} name
 * @returns {string | null} Where that program is; Debian keeps servers where only root looks.
 */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...(name === 'mosquitto' ? ['/usr/sbin', '/usr/local/sbin'] : [])]
  for (const folder of folders) {
    const file = join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // not in this one
    }
  }
  return null
}

/**
 * Runs a program to its end.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, timeoutMs?: number }} [options]
 * @returns {Promise<string>} What it printed. Throws with that when it failed.
 */
export async function capture(command, args, { cwd, env, timeoutMs } = {}) {
  const child = spawn(command, args, { cwd, env, timeout: timeoutMs, killSignal: 'SIGKILL', stdio: ['ignore', 'pipe', 'pipe'] })
  const said = []
  child.stdout.on('data', (chunk) => said.push(chunk))
  child.stderr.on('data', (chunk) => said.push(chunk))
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (...ended) => resolve(ended))
  })
  const text = Buffer.concat(said).toString()
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed (${signal ?? `exit code ${code}`})\n${text.slice(-4000)}`)
  return text
}

/**
 * The Java to run Kafka with: that of JAVA_HOME, else the one in PATH.
 * @returns {Promise<string | null>} null where there is none, or only one older than 17.
 */
export async function findJava() {
  const own = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : null
  const java = own && existsSync(own) ? own : findProgram('java')
  if (!java) return null
  const version = /"([^"]+)"/.exec(await capture(java, ['-version']).catch(() => ''))?.[1]
  if (!version || Number.parseInt(version, 10) < OLDEST_JAVA) return null
  return java
}

/**
 * @param {string} version
 * @returns {string} The folder of that Kafka in the user's cache; the jars are in `jars`.
 */
export function kafkaFolder(version) {
  const ofSystem = process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache')
  return join(process.env.XDG_CACHE_HOME || ofSystem, 'picket', 'kafka', version)
}

/**
 * @param {string} version
 * @returns {boolean} The jars are here.
 */
export function hasJars(version) {
  return existsSync(join(kafkaFolder(version), 'jars'))
}

/**
 * Fetches the jars unless they are here: whole or not at all, by one process at a time.
 * @param {string} version
 * @param {(line: string) => void} say
 * @returns {Promise<string>} The folder with the jars. Throws where Maven is missing or cannot fetch them.
 */
export async function fetchJars(version, say) {
  const jars = join(kafkaFolder(version), 'jars')
  if (existsSync(jars)) return jars
  if (!findProgram('mvn')) throw new Error(`Kafka ${version} is not in ${kafkaFolder(version)} and there is no Maven (mvn) to fetch it`)
  mkdirSync(kafkaFolder(version), { recursive: true })
  const unlock = await lock(join(kafkaFolder(version), 'lock'))
  try {
    if (!existsSync(jars)) await fetchInto(jars, version, say)
  } finally {
    unlock()
  }
  return jars
}

async function fetchInto(jars, version, say) {
  say(`fetching Kafka ${version} by Maven`)
  const own = join(dirname(jars), `fetching-${process.pid}`)
  rmSync(own, { recursive: true, force: true })
  mkdirSync(own)
  writeFileSync(join(own, 'pom.xml'), pom(version))
  try {
    await capture('mvn', ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=jars'], { cwd: own })
    moveTo(join(own, 'jars'), jars)
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
}

/** Another process may have been as fast: its folder is as good. */
function moveTo(from, to) {
  try {
    renameSync(from, to)
  } catch (error) {
    if (!existsSync(to)) throw error
  }
}

function pom(version) {
  const dependency = (group, artifact, v) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${v}</version></dependency>`
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>picket</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>${dependency('org.apache.kafka', 'kafka_2.13', version)}${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}</dependencies>
</project>
`
}

/** A lock file with the holder's process id; one whose holder has ended counts for nothing. */
async function lock(file) {
  for (const until = Date.now() + LOCK_WAIT_MS; Date.now() < until; ) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (holderHasEnded(file)) rmSync(file, { force: true })
    else await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS))
  }
  return () => rmSync(file, { force: true })
}

function holderHasEnded(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8'))
    if (pid > 0) process.kill(pid, 0)
    return false // alive, or about to write its id
  } catch (error) {
    return error.code === 'ESRCH'
  }
}
