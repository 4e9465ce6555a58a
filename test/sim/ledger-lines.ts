/** Lines of the ledger as the requirements read them. */
import type { Outcome } from './simulation.ts'

export interface Line {
  readonly at: number
  readonly kind: string
  readonly device: string
  readonly incident: string
  readonly action: string
  readonly command?: string
  readonly outcome?: string
}

/** The whole ledger as it stands. */
export function ledgerTexts({ logs }: Outcome): string[] {
  return logs.get('actions/0')!.map(({ value }) => Buffer.from(value!).toString('utf8'))
}

export function linesOf(outcome: Outcome): Line[] {
  return ledgerTexts(outcome).map((text) => JSON.parse(text) as Line)
}

/** A silence kept something of the incident from people. */
export function isSilenced(incident: string, lines: readonly Line[]): boolean {
  return lines.some((line) => line.incident === incident && line.action === 'notify' && line.kind === 'decision' && line.outcome === 'held')
}
