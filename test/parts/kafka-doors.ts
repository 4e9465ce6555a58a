/** The doors of a Kafka that ask who comes: TLS, client certificates, SASL, and who may what once inside. */
import { readFileSync } from 'node:fs'
import { type Certificates, keyStore, makeCertificates } from './certificates.ts'

/** Name → password, by every mechanism there is. Only `admin` may do all; the others may what a test lets them, by ACLs. */
export const KAFKA_USERS = { admin: 'admin-secret', ingest: 'ingest-secret', detect: 'detect-secret', respond: 'respond-secret', nobody: 'nobody-secret' } as const

const SCRAM = ['SCRAM-SHA-256', 'SCRAM-SHA-512']

/** Listeners by name, in the order of their ports. */
export const DOORS = { PLAINTEXT: 'PLAINTEXT', TLS: 'SSL', MUTUAL: 'SSL', SASL: 'SASL_PLAINTEXT', SASLTLS: 'SASL_SSL' } as const
export type Door = keyof typeof DOORS

export interface Doors {
  /** PEM texts. */
  readonly ca: string
  readonly strangerCa: string
  /** The certificate of `picket`, who then is `User:picket`: a super user as `admin` is. */
  readonly client: { readonly cert: string; readonly key: string }
  /** `host:port`: TLS without a client certificate; with one; SASL in the clear; SASL within TLS. */
  readonly tls: string
  readonly mutual: string
  readonly sasl: string
  readonly saslTls: string
}

/** Arguments of the format step that make the SCRAM users. */
export function scramUsers(): string[] {
  return SCRAM.flatMap((mechanism) =>
    Object.entries(KAFKA_USERS).flatMap(([name, password]) => ['--add-scram', `${mechanism}=[name=${name},password=${password}]`]),
  )
}

/** Whoever comes by PLAINTEXT, or by TLS without a certificate, is ANONYMOUS, and here may do all. */
export async function doorProperties(folder: string): Promise<{ properties: Record<string, string>; certificates: Certificates }> {
  const certificates = await makeCertificates(folder)
  const plain = `org.apache.kafka.common.security.plain.PlainLoginModule required ${Object.entries(KAFKA_USERS)
    .map(([name, password]) => `user_${name}="${password}"`)
    .join(' ')};`
  const properties: Record<string, string> = {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': keyStore(folder, certificates.server),
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': certificates.ca,
    'listener.name.mutual.ssl.client.auth': 'required',
    'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+).*$/$1/,DEFAULT',
    'sasl.enabled.mechanisms': ['PLAIN', ...SCRAM].join(','),
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS;User:admin;User:picket',
  }
  for (const door of ['sasl', 'sasltls']) {
    properties[`listener.name.${door}.plain.sasl.jaas.config`] = plain
    for (const mechanism of SCRAM)
      properties[`listener.name.${door}.${mechanism.toLowerCase()}.sasl.jaas.config`] =
        'org.apache.kafka.common.security.scram.ScramLoginModule required;'
  }
  return { properties, certificates }
}

export function doorsAt(addresses: ReadonlyMap<Door, string>, certificates: Certificates): Doors {
  const read = (file: string) => readFileSync(file, 'utf8')
  return {
    ca: read(certificates.ca),
    strangerCa: read(certificates.strangerCa),
    client: { cert: read(certificates.client.cert), key: read(certificates.client.key) },
    tls: addresses.get('TLS')!,
    mutual: addresses.get('MUTUAL')!,
    sasl: addresses.get('SASL')!,
    saslTls: addresses.get('SASLTLS')!,
  }
}
