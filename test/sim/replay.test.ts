/** Goal: a failing seed can be looked into; alone, in another process, it runs exactly as it ran among others. */
import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'

interface Verdict {
  readonly seed: number
  readonly digest: string
  readonly events: number
}

function verdicts(...args: string[]): Verdict[] {
  const { stdout } = spawnSync(process.execPath, ['scripts/sim.mjs', '--json', ...args], { encoding: 'utf8', maxBuffer: 1 << 26 })
  return stdout.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Verdict] : []))
}

it('a seed replays alone, bit for bit', { timeout: 200_000 }, () => {
  const among = verdicts('--seeds', '3', '--from', '7').find(({ seed }) => seed === 8)
  const [alone] = verdicts('--seed', '8')
  expect(alone).toEqual(among)
  expect(alone!.events).toBeGreaterThan(1_000)
})
