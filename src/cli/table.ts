/** Columns for people at a terminal. */

/** Rows under a header, padded to line up, each line ending in a newline. What could steer the terminal is shown as escapes. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows].map((row) => row.map(visible))
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines.map((line) => `${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()}\n`).join('')
}

/** Names come from devices: nothing of theirs may steer the terminal, or turn the direction of what stands around it. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (char) => {
    const code = char.charCodeAt(0).toString(16)
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`
  })
}

/** `2026-01-31 08:00:00Z`, or `–` for none. */
export function shortTime(ms: number | null): string {
  return ms === null ? '–' : `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`
}
