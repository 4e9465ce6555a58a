/** A broker that says just what a test wants, byte for byte, where Mosquitto says something else: MQTT 5, one packet a reaction. */
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { freePorts } from '../parts/ports.ts'
import { after } from './mqtt-lab.ts'

/** Packet types, the upper half of a packet's first byte. */
export const CONNECT = 1
export const PUBLISH = 3
export const PUBACK = 4
export const SUBSCRIBE = 8
export const PINGREQ = 12

export interface Packet {
  readonly type: number
  /** After the fixed header. */
  readonly body: Buffer
  /** Of a SUBSCRIBE; of a PUBLISH of QoS 1 too. */
  readonly id: number
}

export const connack = (sessionPresent = false, code = 0) => Buffer.from([0x20, 3, sessionPresent ? 1 : 0, code, 0])
export const suback = (id: number, codes: readonly number[]) => Buffer.from([0x90, 3 + codes.length, id >> 8, id & 255, 0, ...codes])
export const puback = (id: number, code = 0) => Buffer.from([0x40, 3, id >> 8, id & 255, code])
export const disconnect = (code: number) => Buffer.from([0xe0, 2, code, 0])
export const pingresp = () => Buffer.from([0xd0, 0])

/** PUBLISH without properties; below 128 bytes. */
export function publishOf(topic: string, payload: string, { qos, id = 0, dup = false }: { qos: 0 | 1 | 2; id?: number; dup?: boolean }): Buffer {
  const name = Buffer.from(topic)
  const body = [Buffer.from([name.length >> 8, name.length & 255]), name, ...(qos > 0 ? [Buffer.from([id >> 8, id & 255])] : []), Buffer.from([0]), Buffer.from(payload)]
  const length = body.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Buffer.from([0x30 | (qos << 1) | (dup ? 8 : 0), length]), ...body])
}

export interface Scripted {
  readonly url: string
  /** All that came, over all connections. */
  readonly packets: Packet[]
  /** The connections, oldest first. */
  readonly sockets: Socket[]
  /** The bytes of each write that came, as they came. */
  readonly chunks: Buffer[]
}

/** Answers each packet by `react`; PINGREQ by itself unless `react` takes it. */
export async function startScripted(react: (packet: Packet, socket: Socket, connection: number) => void): Promise<Scripted> {
  const [port] = await freePorts(1)
  const scripted: Scripted = { url: `mqtt://127.0.0.1:${port}`, packets: [], sockets: [], chunks: [] }
  const server = createServer((socket) => {
    const connection = scripted.sockets.push(socket)
    let rest = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      scripted.chunks.push(chunk)
      rest = Buffer.concat([rest, chunk])
      for (;;) {
        const size = sizeOf(rest)
        if (size === null) return
        const packet = parse(rest.subarray(0, size.header), rest.subarray(size.header, size.total))
        rest = rest.subarray(size.total)
        scripted.packets.push(packet)
        react(packet, socket, connection)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  after(() => {
    for (const socket of scripted.sockets) socket.destroy()
    server.close()
  })
  return scripted
}

function sizeOf(bytes: Buffer): { readonly header: number; readonly total: number } | null {
  let length = 0
  for (let i = 1; i < bytes.length && i < 5; i++) {
    length += (bytes[i]! & 127) * 128 ** (i - 1)
    if (bytes[i]! < 128) return bytes.length < i + 1 + length ? null : { header: i + 1, total: i + 1 + length }
  }
  return null
}

function parse(header: Buffer, body: Buffer): Packet {
  const type = header[0]! >> 4
  const at = type === PUBLISH ? 2 + body.readUInt16BE(0) : 0
  return { type, body: Buffer.from(body), id: body.length >= at + 2 ? body.readUInt16BE(at) : 0 }
}
