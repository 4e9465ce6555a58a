/** Tidy: which file may import which, and which package may be known where (DESIGN.md section 6, decision 0001). */
import { posix } from 'node:path'
import { finding, isCode, nameOf, program, walk, type Finding, type SourceFile, type SyntaxNode } from './source.ts'

/** Folders, and top files, of `src` that each may import by value and by type; its own is always allowed. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  ops: ['core'],
  log: ['core'],
  ingest: ['core'],
  detect: ['core'],
  respond: ['core'],
  train: ['core'],
  fleet: ['core'],
  config: ['core'],
  'app.ts': ['core', 'ops', 'log', 'ingest', 'detect', 'respond', 'train'],
  'adapters.ts': ['core', 'ops', 'log', 'ingest', 'detect', 'respond', 'train', 'config', 'app.ts'],
  api: ['core', 'ops', 'log', 'ingest', 'detect', 'respond', 'config', 'app.ts'],
  cli: ['core', 'ops', 'log', 'ingest', 'detect', 'respond', 'train', 'fleet', 'config', 'app.ts', 'adapters.ts', 'api'],
  'start.ts': ['core', 'ops', 'config', 'app.ts', 'adapters.ts', 'cli'],
  'main.ts': ['core', 'ops', 'config', 'cli', 'start.ts', 'log'],
}

/** Files that others may see from outside: as types, whoever they are. */
const PORTS: ReadonlySet<string> = new Set([
  'src/log/log.ts',
  'src/ops/clock.ts',
  'src/ops/random.ts',
  'src/ops/metrics.ts',
  'src/ops/logger.ts',
  'src/ops/quiet-log.ts',
  'src/respond/notifier.ts',
  'src/respond/enforcer.ts',
  'src/ingest/source.ts',
  'src/detect/detector.ts',
])

/** Decision 0001: the log's formats are its published language. */
const FORMATS = new Set(['log', 'schema', 'frame', 'control', 'oldest-control', 'page', 'header', 'revision'].map((name) => `src/log/${name}.ts`))
/** The same decision: of what stands behind the log port only those know that put the process together. */
const CLOSED = /^src\/log\/(?:memory|journal|kafka)[./]/
const OPENERS: ReadonlySet<string> = new Set(['adapters.ts', 'main.ts'])
/** Names that may be imported by value from a port. */
const PORT_VALUES: Readonly<Record<string, readonly string[]>> = { 'src/ops/clock.ts': ['delay'], 'src/ops/quiet-log.ts': ['QuietLog'] }

/** Known in one folder of `src` only, so that what stands behind a port can be changed there. */
const ONE_FOLDER = ['kafkajs', 'mqtt', 'aedes', '@tensorflow/'] as const
/** Where the CLI is a client of Picket itself: `replay` and the demo publish as a device does. */
const CLIENTS: Readonly<Record<string, string>> = { mqtt: 'cli' }

interface Import {
  readonly file: SourceFile
  readonly offset: number
  readonly from: string
  /** Names imported by value; `*` for a namespace, a re-export or a dynamic import. */
  readonly values: readonly string[]
}

export function checkImports(files: readonly SourceFile[]): Finding[] {
  const imports = files.filter(({ path }) => isCode(path, 'src')).flatMap(importsOf)
  return [...imports.flatMap(directionProblems), ...scatteredPackages(imports)]
}

function importsOf(file: SourceFile): Import[] {
  const found: Import[] = []
  walk(program(file), (node) => {
    const source = node['source'] as SyntaxNode | null | undefined
    if (!source || !/^(?:Import|Export)/.test(node.type)) return
    found.push({ file, offset: node.start, from: nameOf(source), values: valuesOf(node) })
  })
  return found
}

function valuesOf(node: SyntaxNode): string[] {
  if (node['importKind'] === 'type' || node['exportKind'] === 'type') return []
  const specifiers = node['specifiers'] as SyntaxNode[] | undefined
  if (!specifiers) return ['*']
  return specifiers
    .filter((one) => one['importKind'] !== 'type' && one['exportKind'] !== 'type')
    .map((one) => (one.type === 'ImportNamespaceSpecifier' ? '*' : nameOf(one['imported'] ?? one['local'])))
}

/** `core`, `detect`, …, or the file's own name for those that lie in `src` itself. */
function partOf(path: string): string {
  return path.split('/')[1]!
}

function directionProblems({ file, offset, from, values }: Import): Finding[] {
  if (!from.startsWith('.')) return []
  const target = posix.join(posix.dirname(file.path), from)
  const [own, other] = [partOf(file.path), partOf(target)]
  if (!target.startsWith('src/')) return [finding(file, offset, `imports ${from} from outside src; move what it needs into src`)]
  if (!(own in MAY_IMPORT)) return [finding(file, offset, `lies in no known part of src; add ${own} to MAY_IMPORT in test/tidy/imports.ts`)]
  if (CLOSED.test(target) && own !== 'log' && !OPENERS.has(own)) {
    return [finding(file, offset, `imports ${target}; take a Log as an argument, adapters.ts makes it`)]
  }
  if (own === other || MAY_IMPORT[own]!.includes(other) || FORMATS.has(target)) return []
  if (!PORTS.has(target))
    return [finding(file, offset, `imports ${target}; take it as an argument, or import type from a port of ${other}`)]
  const beyond = values.filter((name) => !PORT_VALUES[target]?.includes(name))
  if (beyond.length === 0) return []
  return [finding(file, offset, `imports ${beyond.join(', ')} of the port ${target} by value; use import type and take it as an argument`)]
}

function scatteredPackages(imports: readonly Import[]): Finding[] {
  return ONE_FOLDER.flatMap((name) => {
    const users = imports.filter(({ from }) => from === name || from.startsWith(name.endsWith('/') ? name : `${name}/`))
    const folders = [...new Set(users.map(({ file }) => partOf(file.path)))].filter((folder) => folder !== CLIENTS[name])
    if (folders.length < 2) return []
    const where = folders.map((folder) => `src/${folder}`).join(' and ')
    return users
      .filter(({ file }) => ![folders[0], CLIENTS[name]].includes(partOf(file.path)))
      .map(({ file, offset }) => finding(file, offset, `${name} is known in ${where}; keep it in one folder behind a port`))
  })
}
