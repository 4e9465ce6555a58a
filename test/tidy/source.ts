/** The files of the checkout as the tidy checks see them: a path, a text, and where it is code, its syntax tree. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { parseAst } from 'vitest/node'

export interface SourceFile {
  /** From the top of the checkout, with `/`. */
  readonly path: string
  readonly text: string
}

/** A place and its remedy: `src/a.ts:3: …`. */
export type Finding = string

/** A node of the ESTree: `type`, `start`, `end`, and what else its type has. */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

const PROGRAMS = new WeakMap<SourceFile, SyntaxNode>()

/** Everything that is, or would be, committed; binary files left out. */
export function checkout(): SourceFile[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  return [...new Set(listed.split('\0'))]
    .filter((path) => path !== '' && existsSync(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }))
    .filter((file) => !file.text.includes('\0'))
}

/** Whether `path` is code in one of these folders. */
export function isCode(path: string, ...folders: string[]): boolean {
  return /\.(?:ts|mjs|js)$/.test(path) && folders.includes(path.split('/')[0]!)
}

/** Parsed once a file. Throws with the path for what is no TypeScript. */
export function program(file: SourceFile): SyntaxNode {
  const known = PROGRAMS.get(file)
  if (known) return known
  try {
    const parsed = parseAst(file.text, { lang: 'ts' }) as unknown as SyntaxNode
    PROGRAMS.set(file, parsed)
    return parsed
  } catch (cause) {
    throw new Error(`${file.path} can't be parsed`, { cause })
  }
}

/** Visits every node, parents first; `ancestors` from the program down. */
export function walk(
  node: SyntaxNode,
  visit: (node: SyntaxNode, ancestors: readonly SyntaxNode[]) => void,
  ancestors: readonly SyntaxNode[] = [],
): void {
  visit(node, ancestors)
  const inside = [...ancestors, node]
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (child !== null && typeof child === 'object' && 'type' in child) walk(child as SyntaxNode, visit, inside)
    }
  }
}

/** The name of an identifier or the text of a string; '' for other nodes. */
export function nameOf(node: unknown): string {
  const { name, value } = (node ?? {}) as { name?: unknown; value?: unknown }
  return typeof name === 'string' ? name : typeof value === 'string' ? value : ''
}

export function lineOf(file: SourceFile, offset: number): number {
  let line = 1
  for (let at = file.text.indexOf('\n'); at >= 0 && at < offset; at = file.text.indexOf('\n', at + 1)) line++
  return line
}

export function finding(file: SourceFile, offset: number, text: string): Finding {
  return `${file.path}:${lineOf(file, offset)}: ${text}`
}
