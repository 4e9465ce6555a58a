/** The far end of the webhook: counts deliveries and revisions by id, and checks the signature of each. */
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Incident } from '../../src/core/incident.ts'

export class Receiver {
  readonly secret = 'acceptance'
  /** Times each delivery id came. */
  readonly deliveries = new Map<string, number>()
  /** Revisions of each incident by number. */
  readonly incidents = new Map<string, Map<number, Incident>>()
  readonly faults: string[] = []
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        this.#take(Buffer.concat(chunks), String(request.headers['x-picket-signature']))
        response.writeHead(204).end()
      })
    })
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  #take(body: Buffer, signature: string): void {
    if (signature !== `sha256=${createHmac('sha256', this.secret).update(body).digest('hex')}`) this.faults.push(`bad signature ${signature}`)
    const { id, incident } = JSON.parse(body.toString()) as { id: string; incident: Incident }
    this.deliveries.set(id, (this.deliveries.get(id) ?? 0) + 1)
    const revisions = this.incidents.get(incident.id) ?? new Map<number, Incident>()
    const known = revisions.get(incident.revision)
    if (known && JSON.stringify(known) !== JSON.stringify(incident)) this.faults.push(`${incident.id} revision ${incident.revision} came with two bodies`)
    revisions.set(incident.revision, incident)
    this.incidents.set(incident.id, revisions)
  }
}
