/** What a source at a broker of the user's is refused for before it connects, and where a URL leads. */
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseMqttUrl } from '../../src/ingest/mqtt-options.ts'
import { readTls } from '../../src/ingest/mqtt-tls.ts'
import { withMosquitto } from '../parts/suites.ts'
import { makeSource } from './mqtt-lab.ts'

describe('a URL', () => {
  it.each([
    ['mqtt://broker', { protocol: 'mqtt', host: 'broker', port: 1883, path: '', isSecure: false, text: 'mqtt://broker:1883' }],
    ['mqtts://broker:18883/', { protocol: 'mqtts', host: 'broker', port: 18883, path: '', isSecure: true, text: 'mqtts://broker:18883' }],
    ['ws://broker/mqtt', { protocol: 'ws', host: 'broker', port: 80, path: '/mqtt', isSecure: false, text: 'ws://broker:80/mqtt' }],
    ['wss://broker', { protocol: 'wss', host: 'broker', port: 443, path: '/', isSecure: true, text: 'wss://broker:443' }],
    ['mqtt://[::1]:1884', { protocol: 'mqtt', host: '::1', port: 1884, path: '', isSecure: false, text: 'mqtt://[::1]:1884' }],
  ])('%s', (url, address) => {
    expect(parseMqttUrl(url, 'url')).toEqual(address)
  })

  it.each([
    ['broker:1883', 'is no address of an MQTT broker'],
    ['http://broker', 'is no address of an MQTT broker'],
    ['mqtt://', 'is no address of an MQTT broker'],
    ['mqtt://user:secret@broker', 'holds a user or password, which belong in the keys username and password'],
    ['mqtt://broker/topic', 'has a path, which only WebSockets have'],
    ['ws://broker/mqtt?clientId=x', 'holds a ? or #'],
  ])('%s is refused, without its password being shown', (url, why) => {
    expect(() => parseMqttUrl(url, 'sources.0.mqtt.url')).toThrow(expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringContaining(`sources.0.mqtt.url ${why}`) as string }))
    expect(() => parseMqttUrl(url, 'sources.0.mqtt.url')).not.toThrow(/secret/)
  })
})

describe('a source', () => {
  it.each([
    [{ clientId: 'a/b' }, 'mqtt.clientId is "a/b"'],
    [{ window: 0 }, 'mqtt.window is 0; allowed: 1 to 65535'],
    [{ window: 65_536 }, 'mqtt.window is 65536'],
    [{ version: '3.1.1', identity: { property: 'who' } }, 'mqtt.identity needs mqtt.version 5'],
    [{ version: '3.1.1', topics: [{ pattern: 'a', device: '{property.id}' }] }, 'topics name the user property id, which needs mqtt.version 5'],
  ] as const)('of %o is refused', (wanted, why) => {
    expect(() => makeSource({ url: 'mqtt://broker', ...wanted })).toThrow(expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringContaining(`source field: ${why}`) as string }))
  })

  it('is led, but for one that shares', () => {
    expect(makeSource({ url: 'mqtt://broker' }).source.isLed).toBe(true)
    expect(makeSource({ url: 'mqtt://broker', share: 'g' }).source.isLed).toBe(false)
  })
})

withMosquitto('TLS files', { tls: {} }, (mosquitto) => {
  const made = () => mosquitto().certificates!
  const garbage = fileURLToPath(import.meta.url)

  it('are read', async () => {
    const tls = await readTls({ ca: made().ca, ...made().client }, 'tls')
    expect(tls.ca).toMatch(/^-----BEGIN CERTIFICATE/)
    expect(tls.key).toMatch(/^-----BEGIN PRIVATE KEY/)
    expect(await readTls({ ca: null, cert: null, key: null }, 'tls')).toEqual({ ca: null, cert: null, key: null })
  })

  it.each<[string, () => Parameters<typeof readTls>[0], () => string]>([
    ['that are not there', () => ({ ca: '/nowhere/ca.pem', cert: null, key: null }), () => "sources.0.mqtt.tls.ca: /nowhere/ca.pem can't be read"],
    ['without a certificate in them', () => ({ ca: garbage, cert: null, key: null }), () => `tls.ca: ${garbage} should hold certificates in PEM`],
    ['with garbage for a client certificate', () => ({ ca: null, cert: garbage, key: made().client.key }), () => `tls.cert: ${garbage} should hold a certificate in PEM`],
    ['whose key is another certificate’s', () => ({ ca: null, cert: made().client.cert, key: made().server.key }), () => `tls.key: ${made().server.key} should hold the private key of ${made().client.cert}`],
    ['of a certificate without key', () => ({ ca: null, cert: made().client.cert, key: null }), () => 'cert and key belong together'],
  ])('%s are refused by name', async (_, files, why) => {
    await expect(readTls(files(), 'sources.0.mqtt.tls')).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining(why()) as string })
  })
})
