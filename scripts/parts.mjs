/** `npm run parts`: gets the real parts that tests run against: Mosquitto, promtool, openssl, Java and Maven by apt (Debian, as root), Kafka by Maven. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { capture, fetchJars, findJava, findProgram, hasJars, KAFKA_VERSIONS } from './kafka-jars.mjs'
import { say, script } from './shell.mjs'

/** Program → Debian's package. */
const PACKAGES = { mosquitto: 'mosquitto', promtool: 'prometheus', openssl: 'openssl', mvn: 'maven' }
const JAVA = 'default-jdk-headless'
/** Debian asks it whether a service may start when its package is installed. */
const POLICY = '/usr/sbin/policy-rc.d'
const APT = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3', '-qq', '-y']

async function missingPackages() {
  const packages = Object.entries(PACKAGES).flatMap(([program, name]) => (findProgram(program) ? [] : [name]))
  return (await findJava()) ? packages : [...packages, JAVA]
}

async function install(packages) {
  const how = `apt-get install ${packages.join(' ')}`
  if (!findProgram('apt-get')) throw new Error(`missing here: ${packages.join(', ')} (Debian's names); install them by this system's own means`)
  if (process.getuid?.() !== 0) throw new Error(`missing here: ${packages.join(', ')}; as root: ${how}`)
  say(how)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await capture('apt-get', [...APT, 'update'], { env })
  await withoutServices(() => capture('apt-get', [...APT, 'install', '--no-install-recommends', ...packages], { env }))
}

/** We want the programs; nothing should run that nobody started. */
async function withoutServices(body) {
  const isOurs = !existsSync(POLICY)
  if (isOurs) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    await body()
  } finally {
    if (isOurs) rmSync(POLICY)
  }
}

await script(async () => {
  const packages = await missingPackages()
  if (packages.length > 0) await install(packages)
  const left = await missingPackages()
  if (left.length > 0) throw new Error(`installed, and still not to be found: ${left.join(', ')}; look at PATH and JAVA_HOME`)
  for (const version of KAFKA_VERSIONS) if (!hasJars(version)) await fetchJars(version, say)
})
