/** Why a connection to a broker failed or ended: as a label for metrics, and in words that name the broker, the user and what to do. */
import { errorText as textOf } from '../core/errors.ts'
import { shortened } from './refusal.ts'

/** Closed: labels of `picket_source_refused_total` and `picket_channel_refused_total`. */
export type TroubleReason =
  | 'unreachable' // no TCP connection, or no answer in time
  | 'tls' // a certificate, ours or the broker's
  | 'login' // user, password or rights
  | 'client_id'
  | 'version' // the broker speaks another MQTT
  | 'taken' // another client connected with our id
  | 'subscribe' // a filter that we may not have
  | 'log' // the log took a message not, so that the broker has to send it again
  | 'lost' // it was up, and ended
  | 'refused' // anything else the broker said

export interface Trouble {
  readonly reason: TroubleReason
  /** One line, without the address. */
  readonly text: string
}

/** Who asked. */
export interface Asking {
  readonly username: string | null
  readonly clientId: string
}

/** What ended a connection, or kept it from coming up. */
export class MqttTrouble extends Error implements Trouble {
  readonly reason: TroubleReason
  readonly text: string

  constructor({ reason, text }: Trouble, options: { readonly cause?: unknown } = {}) {
    super(text, options)
    this.name = 'MqttTrouble'
    this.reason = reason
    this.text = text
  }
}

/** OpenSSL's words span lines, and name its own source files. */
function errorText(error: unknown): string {
  return shortened(textOf(error).replace(/\s+/g, ' ').trim(), WORDS_SHOWN)
}

const WORDS_SHOWN = 240

/** What a CONNACK or DISCONNECT of these codes is about: 1 to 5 are of 3.1.1. */
const BY_CODE: Readonly<Record<number, TroubleReason>> = {
  1: 'version', 2: 'client_id', 3: 'unreachable', 4: 'login', 5: 'login',
  132: 'version', 133: 'client_id', 134: 'login', 135: 'login', 136: 'unreachable', 137: 'unreachable', 138: 'login', 140: 'login', 142: 'taken',
}
const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])

/** `code` as mqtt.js gives it: a number of MQTT's own, or text of Node's or OpenSSL's. */
export function troubleOf(error: unknown, asking: Asking): Trouble {
  if (error instanceof MqttTrouble) return error
  const code = error !== null && typeof error === 'object' && 'code' in error ? error.code : undefined
  if (typeof code === 'number') return saidByBroker(code, errorText(error), asking)
  if (typeof code === 'string' && isTls(code)) return { reason: 'tls', text: tlsText(code, errorText(error)) }
  const isSilent = errorText(error) === 'connack timeout'
  if (isSilent || UNREACHABLE.has(String(code))) return { reason: 'unreachable', text: isSilent ? 'no answer to CONNECT in time' : errorText(error) }
  return { reason: 'lost', text: errorText(error) || String(code ?? 'no reason given') }
}

export function saidByBroker(code: number, words: string, { username, clientId }: Asking): Trouble {
  const reason = BY_CODE[code] ?? 'refused'
  const who = username === null ? 'a client without user name' : `user ${shortened(username)}`
  const said = `${words.replace(/^Connection refused: /, '')} (${code})`
  switch (reason) {
    case 'login':
      return { reason, text: `the broker refuses ${who}: ${said}; mend username and password, or its rights at the broker` }
    case 'client_id':
      return { reason, text: `the broker refuses client id ${clientId}: ${said}; set another clientId` }
    case 'version':
      return { reason, text: `the broker speaks another version of MQTT: ${said}; set version to the other of 5, 3.1.1` }
    case 'taken':
      return { reason, text: `another client took over client id ${clientId}: two that are not replicas of one Picket may not share it` }
    default:
      return { reason, text: `the broker says: ${said}` }
  }
}

function isTls(code: string): boolean {
  return code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL') || code === 'EPROTO' || /CERT|ISSUER|SIGNATURE|CRL|SELF_SIGNED|UNABLE_TO/.test(code)
}

function tlsText(code: string, words: string): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the broker's certificate is for another host: ${words}`
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') return `the broker's certificate: ${words}`
  if (/ALERT|EPROTO/.test(code)) return `TLS failed (${code}); does the broker ask for a client certificate, tls.cert and tls.key?`
  if (/SELF_SIGNED|ISSUER|LEAF_SIGNATURE|UNTRUSTED|CHAIN/.test(code)) return `the broker's certificate is not signed by tls.ca (or, without it, by an authority of this system): ${words}`
  return `TLS failed (${code}): ${words}`
}
