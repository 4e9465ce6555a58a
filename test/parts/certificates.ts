/** A certificate authority for one test run, a server's and a client's certificate by it, and an authority that nobody trusts. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { capture } from '../../scripts/kafka-jars.mjs'

/** Paths of PEM files. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

export interface Certificates {
  /** The authority's certificate. */
  readonly ca: string
  /** For 127.0.0.1 and localhost. */
  readonly server: KeyPair
  /** Its common name is `picket`. */
  readonly client: KeyPair
  /** The certificate of an authority that signed nothing here. */
  readonly strangerCa: string
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-sha256']
const DAYS = ['-days', '3']

/** Needs `openssl`. Files go into the folder, which is there. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const [ca, stranger] = await Promise.all([authority(folder, 'ca'), authority(folder, 'stranger')])
  const server = await signed(folder, { name: 'server', subject: '/CN=localhost', ca, extension: 'subjectAltName=DNS:localhost,IP:127.0.0.1' })
  const client = await signed(folder, { name: 'client', subject: '/CN=picket', ca, extension: 'extendedKeyUsage=clientAuth' })
  return { ca: ca.cert, server, client, strangerCa: stranger.cert }
}

/** Key and certificate in one file, as Kafka reads a PEM key store. */
export function keyStore(folder: string, { cert, key }: KeyPair): string {
  const file = join(folder, 'keystore.pem')
  writeFileSync(file, readFileSync(key, 'utf8') + readFileSync(cert, 'utf8'))
  return file
}

async function authority(folder: string, name: string): Promise<KeyPair> {
  const pair = paths(folder, name)
  await capture('openssl', ['req', '-x509', ...KEY, ...DAYS, '-subj', `/CN=picket-test-${name}`, '-keyout', pair.key, '-out', pair.cert])
  return pair
}

interface Wanted {
  readonly name: string
  readonly subject: string
  readonly ca: KeyPair
  readonly extension: string
}

async function signed(folder: string, { name, subject, ca, extension }: Wanted): Promise<KeyPair> {
  const pair = paths(folder, name)
  const [request, extensions] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)]
  writeFileSync(extensions, `${extension}\n`)
  await capture('openssl', ['req', ...KEY, '-subj', subject, '-keyout', pair.key, '-out', request])
  const by = ['-CA', ca.cert, '-CAkey', ca.key, '-CAcreateserial']
  await capture('openssl', ['x509', '-req', '-sha256', '-in', request, ...by, ...DAYS, '-extfile', extensions, '-out', pair.cert])
  return pair
}

function paths(folder: string, name: string): KeyPair {
  return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }
}
