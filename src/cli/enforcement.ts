/** `picket enforcement`: the kill switch of a running Picket, and how it stands. */
import { Argument } from 'commander'
import type { Command } from 'commander'
import type { EnforcementView, QuarantinesView } from '../core/standing.ts'
import { delay } from '../ops/clock.ts'
import { apiClient } from './api-client.ts'
import type { ApiClient } from './api-client.ts'
import { Failure } from './io.ts'
import type { CliIo } from './io.ts'
import { apiToken, apiUrl, withUrl } from './options.ts'
import type { UrlOptions } from './options.ts'
import { shortTime, visible } from './table.ts'

interface Options extends UrlOptions {
  readonly reason?: string
  readonly release?: boolean
  readonly json?: boolean
}

type Answer = EnforcementView & { readonly quarantines: QuarantinesView }

const RESOURCE = '/api/v1/enforcement'
/** So often, and after so many ms each, it is asked whether what was stored is obeyed. */
const LOOKS = 25
const LOOK_MS = 200

export function addEnforcement(program: Command, io: CliIo): void {
  withUrl(program.command('enforcement'))
    .description('the kill switch: with off no further device is quarantined, from within a second; quarantines end in their time, with --release now')
    .addArgument(new Argument('<state>', 'what it shall be, or how it stands').choices(['on', 'off', 'status']))
    .option('--reason <text>', 'why, for the ledger and those who are told; needed with on and off')
    .option('--release', 'with off: also end every quarantine')
    .option('--json', 'one JSON object')
    .action(async (state: 'on' | 'off' | 'status', options: Options, command: Command) => {
      const client = apiClient(io, apiUrl(options), apiToken(options))
      if (state === 'status') return print(io, await client.get<Answer>(RESOURCE), options)
      if (options.reason === undefined) return command.error('error: --reason is needed: it stands in the ledger, and people are told it')
      if (options.release && state === 'on') return command.error('error: --release goes with off only')
      await client.post(RESOURCE, { state, reason: options.reason, ...(options.release ? { release: true } : {}) })
      print(io, await obeyed(io, client, state), options)
    })
}

/** The answer to the request says that it is stored; this, that it is in force. Throws Failure. */
async function obeyed(io: CliIo, client: ApiClient, state: 'on' | 'off'): Promise<Answer> {
  let why = ''
  for (let look = 0; look < LOOKS; look++) {
    const answer = await client.get<Answer>(RESOURCE).catch((error: unknown) => {
      if (!(error instanceof Failure)) throw error
      why = ` (${error.message})`
      return null
    })
    if (answer?.state === state) return answer
    await delay(io.clock, LOOK_MS)
  }
  throw new Failure(`enforcement ${state} is stored and will be obeyed, but is not seen to be after ${(LOOKS * LOOK_MS) / 1000} s${why}; see its log, and picket enforcement status`)
}

function print(io: CliIo, answer: Answer, { json }: Options): void {
  if (json) return io.stdout.write(`${JSON.stringify(answer)}\n`)
  const { state, says, reason, by, since, quarantines } = answer
  const { active, atOnce, lastMinute, perMinute, waiting } = quarantines
  const why = [since === null ? '' : ` since ${shortTime(since)}`, reason ? `: ${reason}` : '', by ? ` (asked by ${by})` : ''].join('')
  io.stdout.write(`enforcement is ${state}${says === 'config' && state === 'off' ? ' by the configuration' : ''}${visible(why)}\n`)
  io.stdout.write(`${active} of at most ${atOnce} devices quarantined, ${lastMinute} of at most ${perMinute} begun in the last minute, ${waiting} waiting\n`)
}
