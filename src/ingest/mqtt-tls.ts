/** The PEM files of a TLS connection, read and looked at before anything connects: what is wrong with one is said with its name. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { errorText, PipelineError } from '../core/errors.ts'
import type { MqttTls } from './mqtt-options.ts'

/** Paths of PEM files; null: none. */
export interface TlsFiles {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

/** Throws BAD_CONFIG naming the file, what it should be, and that `cert` and `key` belong together. `where` is the key, such as `sources.0.mqtt.tls`. */
export async function readTls(files: TlsFiles, where: string): Promise<MqttTls> {
  const { ca, cert, key } = files
  if ((cert === null) !== (key === null)) throw new PipelineError('BAD_CONFIG', `${where}: cert and key belong together, one of them is missing`)
  const texts = {
    ca: ca === null ? null : await readPem(ca, `${where}.ca`),
    cert: cert === null ? null : await readPem(cert, `${where}.cert`),
    key: key === null ? null : await readPem(key, `${where}.key`),
  }
  if (texts.ca !== null) attempt(`${where}.ca: ${ca} should hold certificates in PEM`, () => new X509Certificate(texts.ca!))
  if (texts.cert !== null && texts.key !== null) {
    attempt(`${where}.cert: ${cert} should hold a certificate in PEM`, () => new X509Certificate(texts.cert!))
    const pair = { cert: texts.cert, key: texts.key }
    attempt(`${where}.key: ${key} should hold the private key of ${cert} in PEM, without a passphrase`, () => createSecureContext(pair))
  }
  return texts
}

async function readPem(file: string, where: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new PipelineError('BAD_CONFIG', `${where}: ${file} can't be read: ${errorText(cause)}`, { cause })
  }
}

function attempt(what: string, work: () => unknown): void {
  try {
    work()
  } catch (cause) {
    throw new PipelineError('BAD_CONFIG', `${what}: ${errorText(cause)}`, { cause })
  }
}
