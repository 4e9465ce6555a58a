/** `npm run sim`: simulates seeds of the whole pipeline and says which broke what; see the usage below. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { prepare } from './prepare.mjs'
import { runSeeds } from './sim/pool.mjs'
import { ROOT, script } from './shell.mjs'

const USAGE = `usage: npm run sim -- [--seeds N] [--from N] [--seed N] [--options JSON] [--fresh] [--planted NAME [--plants FILE]] [--verbose] [--json]
  --seeds N       that many seeds from --from on (default 200), the kept bad ones first
  --from N        the first seed (default 1)
  --seed N        one seed alone
  --fresh         seeds nobody has seen (from the clock on); a bad one is kept in test/sim/seeds
  --options JSON  parts of the options that shall not be as drawn: '{"crashes":{"stops":0}}'
  --verbose       every log line of every process
  --planted NAME  with this bug planted; ends at the first seed that finds it, and fails if none does
  --plants FILE   where the planted bugs are described (default test/sim/plants.mjs)
  --json          one JSON object a seed
`
/** From so many seeds on it is worth a second process. */
const MANY = 20

const flags = parse()
await script(prepare)
// Only now: the bundler is among what a fresh checkout has to install.
const { bundleSimulation } = await import('./sim/bundle.mjs')
const plant = flags.planted === undefined ? null : await plantNamed(flags.planted)
const { file, remove } = await bundleSimulation(plant).catch((error) => end(2, `${error.errors?.map(({ text }) => text).join('\n') ?? error.message}\n`))
try {
  process.exitCode = await run()
} finally {
  remove()
}

function parse() {
  const string = { type: 'string' }
  const boolean = { type: 'boolean', default: false }
  try {
    const texts = { fresh: boolean, seeds: string, from: string, seed: string, options: string, planted: string, plants: string }
    const { values } = parseArgs({ options: { ...texts, verbose: boolean, json: boolean, help: boolean } })
    if (values.help) end(0, USAGE)
    return values
  } catch (error) {
    return end(2, `${error.message}\n${USAGE}`)
  }
}

function end(code, text) {
  process.stderr.write(text)
  process.exit(code)
}

async function plantNamed(name) {
  const plants = resolve(flags.plants ?? join(ROOT, 'test', 'sim', 'plants.mjs'))
  const { PLANTS } = await import(pathToFileURL(plants).href)
  const names = PLANTS.map((one) => one.name)
  return PLANTS.find((one) => one.name === name) ?? end(2, `no planted bug is called ${name}; there are ${names.join(', ')}\n`)
}

/** Seeds that were bad once, with the options they were bad under. */
function kept() {
  const folder = join(ROOT, 'test', 'sim', 'seeds')
  const names = readdirSync(folder).filter((name) => name.endsWith('.json')).sort()
  return names.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')))
}

function tasks() {
  const options = flags.options === undefined ? {} : JSON.parse(flags.options)
  const { verbose } = flags
  if (flags.seed !== undefined) return [{ seed: Number(flags.seed), options, verbose }]
  const from = flags.fresh ? Date.now() : Number(flags.from ?? 1)
  const fresh = Array.from({ length: Number(flags.seeds ?? 200) }, (_, i) => ({ seed: from + i, options, verbose }))
  if (plant || flags.fresh || flags.options !== undefined) return fresh
  return [...kept().map(({ seed, options: own }) => ({ seed, options: own, verbose })), ...fresh]
}

async function run() {
  const started = performance.now()
  const sum = { seeds: 0, failures: 0, simulatedMs: 0, messages: 0, crashes: 0, incidents: 0, quarantines: 0 }
  const todo = tasks()
  await runSeeds(file, todo, {
    workers: todo.length > MANY ? 2 : 1,
    each({ verdict, options }, task) {
      sum.seeds++
      for (const key of ['simulatedMs', 'messages', 'crashes', 'incidents', 'quarantines']) sum[key] += verdict[key]
      if (flags.json) process.stdout.write(`${JSON.stringify(verdict)}\n`)
      if (verdict.broken === null) return false
      sum.failures++
      if (!flags.json) tell(verdict, options, task)
      if (flags.fresh) keep(verdict, options)
      return plant !== null
    },
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(
    `${plant ? `planted "${plant.name}": ` : ''}${sum.seeds} seeds, ${sum.failures} failures, ` +
      `${(sum.simulatedMs / 3_600_000).toFixed(1)} simulated hours, ` +
      `${sum.messages} messages, ${sum.crashes} crashes, ${sum.incidents} incidents, ${sum.quarantines} quarantines, ${seconds} s\n`,
  )
  return (sum.failures > 0) === (plant !== null) ? 0 : 1
}

function tell({ seed, broken }, options, task) {
  const given = JSON.stringify(task.options ?? {})
  const only = given === '{}' ? '' : ` --options '${given}'`
  const told = [`seed ${seed} FAILED`, `  ${broken}`, `  options ${JSON.stringify(options)}`, `  replay: npm run sim -- --seed ${seed}${only}`]
  process.stdout.write(`${told.join('\n')}\n`)
}

/** A bad seed is the next thing to be mended, and runs first from now on. */
function keep({ seed, broken }, { seed: _, ...options }) {
  const name = join(ROOT, 'test', 'sim', 'seeds', `${seed}.json`)
  // All of them: what is drawn from a seed changes with the drawing.
  writeFileSync(name, `${JSON.stringify({ seed, why: broken, options }, null, 2)}\n`)
  process.stdout.write(`  kept: ${name}\n`)
}
