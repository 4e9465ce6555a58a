/** Tidy: what only one file may touch, with what to use in its place. */
import { finding, isCode, nameOf, program, walk, type Finding, type SourceFile, type SyntaxNode } from './source.ts'

interface Ban {
  /** `object.member`, `object.*`, or a global's name. */
  readonly what: string
  readonly allowed: readonly string[]
  readonly instead: string
}

const CLOCK = 'src/ops/clock.ts'
const RANDOM = 'src/ops/random.ts'

const BANS: readonly Ban[] = [
  { what: 'Date.now', allowed: [CLOCK], instead: 'clock.now() of the Clock port' },
  { what: 'performance.now', allowed: [CLOCK], instead: 'clock.monotonic() of the Clock port' },
  { what: 'process.hrtime', allowed: [CLOCK], instead: 'clock.monotonic() of the Clock port' },
  { what: 'process.uptime', allowed: [CLOCK], instead: 'clock.monotonic() of the Clock port' },
  { what: 'setTimeout', allowed: [CLOCK], instead: 'clock.after() or delay() of ops/clock.ts' },
  { what: 'setInterval', allowed: [], instead: 'clock.after(), asked for again each time' },
  { what: 'setImmediate', allowed: [CLOCK], instead: 'clock.after(0, …)' },
  { what: 'Math.random', allowed: [RANDOM], instead: 'random.fraction() of the Random port' },
  { what: 'randomUUID', allowed: [RANDOM], instead: 'random.id() of the Random port' },
  { what: 'randomBytes', allowed: [RANDOM], instead: 'random.id() of the Random port' },
  { what: 'randomInt', allowed: [RANDOM], instead: 'random.fraction() of the Random port' },
  { what: 'process.env', allowed: ['src/config/environment.ts'], instead: 'a key of the config, passed in' },
  { what: 'console.*', allowed: [], instead: 'the Logger port, or src/cli/print.ts for what a command prints' },
]

const MODULES: Readonly<Record<string, string>> = {
  'node:timers': 'clock.after()',
  'node:timers/promises': 'delay() of ops/clock.ts',
  'node:perf_hooks': 'clock.monotonic()',
}

export function checkBans(files: readonly SourceFile[]): Finding[] {
  return files.filter(({ path }) => isCode(path, 'src')).flatMap(bansIn)
}

function bansIn(file: SourceFile): Finding[] {
  const found: Finding[] = []
  const refuse = (node: SyntaxNode, what: string, instead: string) =>
    found.push(finding(file, node.start, `${what} is banned here; use ${instead}`))
  walk(program(file), (node, ancestors) => {
    const parent = ancestors.at(-1)
    const name = touched(node, parent)
    const ban =
      name === '' ? undefined : BANS.find(({ what }) => what === name || (what.endsWith('.*') && name.startsWith(what.slice(0, -1))))
    if (ban && !ban.allowed.includes(file.path)) refuse(node, name, ban.instead)
    if (
      node.type === 'NewExpression' &&
      nameOf(node['callee']) === 'Date' &&
      (node['arguments'] as unknown[]).length === 0 &&
      file.path !== CLOCK
    ) {
      refuse(node, 'new Date()', 'new Date(clock.now())')
    }
    const instead = node.type === 'ImportDeclaration' ? MODULES[nameOf(node['source'])] : undefined
    if (instead) refuse(node, nameOf(node['source']), instead)
  })
  return [...new Set(found)]
}

const MEMBERS = /^(?:Property|MethodDefinition|PropertyDefinition|TSPropertySignature|TSMethodSignature)$/

/** `Date.now` for a member of a global (`globalThis.` taken off), `setTimeout` for a name in use; '' for anything else. */
function touched(node: SyntaxNode, parent: SyntaxNode | undefined): string {
  if (node.type === 'MemberExpression' && !node['computed']) {
    const object = node['object'] as SyntaxNode
    const owner = object.type === 'Identifier' ? nameOf(object) : ''
    if (owner === 'globalThis' || owner === 'crypto') return nameOf(node['property'])
    return owner === '' ? '' : `${owner}.${nameOf(node['property'])}`
  }
  if (node.type !== 'Identifier' || !parent) return ''
  const isMemberName = parent.type === 'MemberExpression' && parent['property'] === node && !parent['computed']
  const isKey = MEMBERS.test(parent.type) && parent['key'] === node && !parent['shorthand']
  return isMemberName || isKey ? '' : nameOf(node)
}
