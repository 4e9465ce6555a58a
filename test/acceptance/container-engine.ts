/** Where containers can be had: the container lab (podman without an engine or a registry), else Docker with its compose. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const OUTPUT_MOST = 64 * 1024 * 1024
/** Beside the checkout. */
const LAB = '../shared/tools/container-lab'
const SET_UP_MS = 600_000

export interface Engine {
  readonly name: string
  /** Images under names that are its own, for the compose file's variables. */
  readonly environment: Readonly<Record<string, string>>
  /** podman or docker: its standard output. Throws with all it said. */
  cli(args: readonly string[], options?: Options): Promise<string>
  /** The last lines a container logged, whichever way it said them. */
  logs(container: string, lines: number): Promise<string>
  compose(args: readonly string[], options?: Options): Promise<string>
  build(args: readonly string[], options?: Options): Promise<string>
  /** Until all of them are healthy. Throws when they are not in time. */
  healthy(containers: readonly string[]): Promise<void>
  /** Of the first replica of a service. */
  container(project: string, service: string): string
}

interface Options {
  readonly environment?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

/** The engine, ready; or what is missing for one. */
export async function containerEngine(say: (line: string) => void): Promise<Engine | { readonly missing: string }> {
  const lab = resolve(process.env['CONTAINER_LAB'] ?? LAB)
  if (existsSync(lab)) return labEngine(lab, say)
  const hasDocker = await run('docker', ['info']).then(() => run('docker', ['compose', 'version'])).then(() => true, () => false)
  return hasDocker ? dockerEngine() : { missing: 'CONTAINER_LAB, or a Docker engine with docker compose' }
}

/** Its standard output. Throws what the program said. */
async function call(program: string, args: readonly string[], options: Options = {}): Promise<string> {
  return (await callBoth(program, args, options)).stdout
}

async function logsOf(program: string, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await callBoth(program, args, {})
  return stdout + stderr
}

async function callBoth(program: string, args: readonly string[], { environment = {}, timeoutMs = 180_000 }: Options): Promise<{ readonly stdout: string; readonly stderr: string }> {
  try {
    return await run(program, [...args], { env: { ...process.env, ...environment }, maxBuffer: OUTPUT_MOST, timeout: timeoutMs })
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string }
    // Without systemd podman says with every word that it can't time its health checks.
    const said = `${stdout}${stderr}`.split('\n').filter((line) => !line.includes('systemd'))
    throw new Error(`${program} ${args.slice(0, 4).join(' ')}: ${message.split('\n')[0]}\n${said.slice(-30).join('\n')}`, { cause: error })
  }
}

const LAB_IMAGES = {
  'docker.io/library/node:24-bookworm-slim': 'node:24',
  'docker.io/library/eclipse-mosquitto:2': 'mosquitto',
  'docker.io/prom/prometheus:latest': 'prometheus',
  'docker.io/apache/kafka:3.9.2': 'kafka:3.9.2',
}

/** Makes the base images that are missing: minutes, once a machine. */
async function labEngine(lab: string, say: (line: string) => void): Promise<Engine> {
  const engine: Engine = {
    name: 'container-lab',
    environment: { PROMETHEUS_IMAGE: 'docker.io/prom/prometheus:latest' },
    cli: (args, options) => call(lab, ['podman', ...args], options),
    logs: (container, lines) => logsOf(lab, ['podman', 'logs', '--tail', String(lines), container]),
    compose: (args, options) => call(lab, ['compose', ...args], options),
    // Its cache takes a changed stage for the old one.
    build: (args, options) => call(lab, ['build', '--no-cache', ...args], options),
    healthy: async (containers) => void (await call(lab, ['healthy', ...containers])),
    container: (project, service) => `${project}_${service}_1`,
  }
  const missing: string[] = []
  for (const [image, word] of Object.entries(LAB_IMAGES))
    await engine.cli(['image', 'exists', image]).catch(() => void missing.push(word))
  if (missing.length === 0) return engine
  say(`making the base images ${missing.join(', ')}, which takes minutes`)
  await call(lab, ['setup', ...missing], { timeoutMs: SET_UP_MS })
  return engine
}

const HEALTHY_MS = 120_000

function dockerEngine(): Engine {
  const cli: Engine['cli'] = (args, options) => call('docker', args, options)
  const isHealthy = async (container: string) => (await cli(['inspect', '--format', '{{.State.Health.Status}}', container])).trim() === 'healthy'
  return {
    name: 'docker',
    environment: {},
    cli,
    logs: (container, lines) => logsOf('docker', ['logs', '--tail', String(lines), container]),
    compose: (args, options) => call('docker', ['compose', ...args], options),
    build: (args, options) => call('docker', ['build', ...args], options),
    async healthy(containers) {
      const until = performance.now() + HEALTHY_MS
      for (const container of containers)
        while (!(await isHealthy(container))) {
          if (performance.now() > until) throw new Error(`${container} is not healthy after ${HEALTHY_MS / 1000} s`)
          await new Promise((done) => setTimeout(done, 500))
        }
    },
    container: (project, service) => `${project}-${service}-1`,
  }
}
