/** The webhook against a real HTTP server. */
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/ops/clock.ts'
import type { Notice, Notification } from '../../src/respond/notifier.ts'
import { createWebhook } from '../../src/respond/webhook.ts'
import { ManualClock } from '../clock.ts'
import { incident, MemoryNotifier } from './fleet.ts'
import { notifierContract } from './notifier-contract.ts'

interface Post {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A receiver of webhooks. `statuses`: what it answers next; then 200. null: it never answers; 202: it never ends its answer. */
class Receiver {
  readonly posts: Post[] = []
  readonly statuses: (number | null)[] = []
  private readonly server: Server

  constructor() {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8')
        const status = this.statuses.length > 0 ? this.statuses.shift() : 200
        if (status === 200) this.posts.push({ method: request.method!, url: request.url!, headers: request.headers, body })
        if (status === null || status === undefined) return this.waiting()
        response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {})
        if (status === 202) response.on('close', () => this.waiting()).write('an answer without end')
        else response.end('thank you')
      })
    })
  }

  /** Called when a request came that will get no answer, and when the client left an answer without end. */
  waiting: () => void = () => undefined

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/hook`
  }

  close(): Promise<void> {
    this.server.closeAllConnections()
    return new Promise((resolve) => this.server.close(() => resolve()))
  }
}

let receiver: Receiver
let url: string

beforeEach(async () => {
  receiver = new Receiver()
  url = await receiver.listen()
})
afterEach(() => receiver.close())

function webhook(secret: string | null = null, to = url) {
  return createWebhook({ name: 'hook', url: to, secret, fetch, clock: systemClock })
}

describe('a webhook as a notifier', () => {
  notifierContract(async () => ({
    notifier: webhook(),
    received: () => receiver.posts.map(({ body }) => JSON.parse(body) as Notification),
    said: () => receiver.posts.map(({ body }) => JSON.parse(body) as { id: string; notice: Notice }),
    refuseNext: () => receiver.statuses.push(503),
    close: async () => undefined,
  }))
})

describe('the memory notifier', () => {
  notifierContract(async () => {
    const notifier = new MemoryNotifier()
    const received: Notification[] = []
    const take = notifier.notify.bind(notifier)
    notifier.notify = async (notification) => {
      const outcome = await take(notification)
      if (outcome.status === 'done') received.push(notification)
      return outcome
    }
    return { notifier, received: () => received, said: () => notifier.notices, refuseNext: () => notifier.answers.push({ status: 'retry', detail: '' }), close: async () => undefined }
  })
})

describe('a webhook', () => {
  const notification = { id: 'notification-1', incident: incident() }

  it('POSTs JSON', async () => {
    await webhook().notify(notification)
    expect(receiver.posts[0]).toMatchObject({ method: 'POST', url: '/hook' })
    expect(receiver.posts[0]!.headers['content-type']).toBe('application/json')
    expect(receiver.posts[0]!.headers['x-picket-signature']).toBeUndefined()
  })

  it('signs the body with the secret', async () => {
    await webhook('s3cret').notify(notification)
    const { headers, body } = receiver.posts[0]!
    expect(headers['x-picket-signature']).toBe(`sha256=${createHmac('sha256', 's3cret').update(body).digest('hex')}`)
  })

  it.each([
    [204, 'done'], [200, 'done'], [408, 'retry'], [429, 'retry'], [500, 'retry'], [503, 'retry'],
    [400, 'failed'], [401, 'failed'], [404, 'failed'], [410, 'failed'],
  ])('takes %i for %s', async (status, outcome) => {
    receiver.statuses.push(status)
    expect(await webhook().notify(notification)).toEqual({ status: outcome, detail: `HTTP ${status}` })
  })

  it('follows no redirect', async () => {
    receiver.statuses.push(302)
    expect(await webhook().notify(notification)).toMatchObject({ status: 'failed', detail: 'HTTP 302' })
    expect(receiver.posts).toEqual([])
  })

  it('is tried again when nobody listens', async () => {
    await receiver.close()
    expect(await webhook().notify(notification)).toMatchObject({ status: 'retry', detail: expect.stringContaining('ECONNREFUSED') as string })
    receiver = new Receiver()
    url = await receiver.listen()
  })

  it('waits 10 s for an answer', async () => {
    const clock = new ManualClock()
    receiver.statuses.push(null)
    const arrived = new Promise<void>((resolve) => (receiver.waiting = resolve))
    const outcome = createWebhook({ name: 'hook', url, secret: null, fetch, clock }).notify(notification)
    await arrived
    await clock.advance(9_999)
    expect(clock.pending).toBe(1)
    await clock.advance(1)
    expect(await outcome).toEqual({ status: 'retry', detail: 'no answer within 10000 ms' })
  })

  it('hangs up on an answer without end', async () => {
    receiver.statuses.push(202)
    const left = new Promise<void>((resolve) => (receiver.waiting = resolve))
    expect(await webhook().notify(notification)).toMatchObject({ status: 'done' })
    await left
  })

  it('leaves no timer behind', async () => {
    const clock = new ManualClock()
    await createWebhook({ name: 'hook', url, secret: null, fetch, clock }).notify(notification)
    expect(clock.pending).toBe(0)
  })
})

it('says nothing of its URL where it fails, which may hold a secret', async () => {
  const secretly = 'http://user:password@127.0.0.1:1/hook/token'
  const { detail } = await webhook(null, secretly).notify({ id: 'n', incident: incident() })
  expect(detail).toContain('(the URL)')
  expect(detail).not.toMatch(/password|token/)
})
