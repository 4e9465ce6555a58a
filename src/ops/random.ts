/** Port: randomness. Ids of incarnations and requests, jitter of retries; never anything that reaches a score. */
import { randomBytes, randomInt } from 'node:crypto'

export interface Random {
  /** A fresh id of 24 hex digits. */
  id(): string
  /** Uniform in [0, 1). */
  fraction(): number
}

export const systemRandom: Random = {
  id: () => randomBytes(12).toString('hex'),
  fraction: () => randomInt(2 ** 32) / 2 ** 32,
}
