/** Tidy: how long files and functions may be, and how a file begins. */
import { finding, isCode, lineOf, program, walk, type Finding, type SourceFile } from './source.ts'

const FILE_LINES = 400
const FUNCTION_LINES = 70

/** Kernels: one loop over columns, longer than a function should be because a call in it costs more than its length. */
const KERNELS: ReadonlySet<string> = new Set([])

export function checkLengths(files: readonly SourceFile[]): Finding[] {
  return files.filter(({ path }) => isCode(path, 'src', 'test', 'scripts', 'bench', 'examples')).flatMap(longFile)
}

function longFile(file: SourceFile): Finding[] {
  const lines = file.text.trimEnd().split('\n').length
  if (lines <= FILE_LINES) return []
  return [finding(file, 0, `has ${lines} lines, allowed are ${FILE_LINES}; move what can be named by itself into a file of its own`)]
}

export function checkFunctions(files: readonly SourceFile[]): Finding[] {
  return files.filter(({ path }) => isCode(path, 'src', 'scripts') && !KERNELS.has(path)).flatMap(longFunctions)
}

function longFunctions(file: SourceFile): Finding[] {
  const found: Finding[] = []
  walk(program(file), (node) => {
    if (!/^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) return
    const lines = lineOf(file, node.end) - lineOf(file, node.start) + 1
    if (lines <= FUNCTION_LINES) return
    found.push(
      finding(file, node.start, `a function of ${lines} lines, allowed are ${FUNCTION_LINES}; give a step of it a name of its own`),
    )
  })
  return found
}

/** The first line, after a `#!` line, is a doc comment of one sentence. */
export function checkOpenings(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    if (!isCode(file.path, 'src', 'scripts')) return []
    const lines = file.text.split('\n')
    const first = lines[0]!.startsWith('#!') ? 1 : 0
    if (/^\/\*\*(?: \S.*|)$/.test(lines[first] ?? '')) return []
    return [`${file.path}:${first + 1}: opens without a doc comment; say in one sentence what the file is and where on the way`]
  })
}
