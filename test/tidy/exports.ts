/** Tidy: what is exported and imported by nobody. */
import { posix } from 'node:path'
import { finding, isCode, nameOf, program, walk, type Finding, type SourceFile, type SyntaxNode } from './source.ts'

/** Loaded by name, not by an import. */
const ENTRY_POINTS: ReadonlySet<string> = new Set(['src/main.ts'])

/** Left out: a type that nobody imports by name still says what an argument is. */
const TYPES = /^TS(?:Interface|TypeAlias)Declaration$/

export function checkExports(files: readonly SourceFile[]): Finding[] {
  const used = new Set(files.filter(({ path }) => isCode(path, 'src', 'test', 'bench', 'examples', 'scripts')).flatMap(usesIn))
  return files
    .filter(({ path }) => isCode(path, 'src') && !ENTRY_POINTS.has(path))
    .flatMap((file) => {
      if (used.has(`${file.path}#*`)) return []
      return exportsOf(file)
        .filter(({ name }) => !used.has(`${file.path}#${name}`))
        .map(({ name, offset }) => finding(file, offset, `exports ${name}, which nobody imports; take the export off, or the code out`))
    })
}

/** `path#name` of what a file takes from others; `path#*` for all of one. */
function usesIn(file: SourceFile): string[] {
  const uses: string[] = []
  walk(program(file), (node) => {
    const source = nameOf(node['source'])
    if (!source.startsWith('.') || !/^(?:Import|Export)/.test(node.type)) return
    const target = posix.join(posix.dirname(file.path), source)
    const specifiers = (node['specifiers'] as SyntaxNode[] | undefined) ?? []
    const names = specifiers.map((one) => (one.type === 'ImportNamespaceSpecifier' ? '*' : nameOf(one['imported'] ?? one['local'])))
    uses.push(...(node['specifiers'] ? names : ['*']).map((name) => `${target}#${name}`))
  })
  return uses
}

function exportsOf(file: SourceFile): { name: string; offset: number }[] {
  const body = program(file)['body'] as SyntaxNode[]
  return body.flatMap((node) => {
    if (node.type !== 'ExportNamedDeclaration' || node['exportKind'] === 'type') return []
    const declaration = node['declaration'] as SyntaxNode | null
    const specifiers = (node['specifiers'] as SyntaxNode[]).filter((one) => one['exportKind'] !== 'type').map((one) => one['exported'])
    const declared = (declaration?.['declarations'] as SyntaxNode[] | undefined)?.map((one) => one['id']) ?? [declaration?.['id']]
    if (declaration && TYPES.test(declaration.type)) return []
    return [...specifiers, ...declared]
      .map(nameOf)
      .filter(Boolean)
      .map((name) => ({ name, offset: node.start }))
  })
}
