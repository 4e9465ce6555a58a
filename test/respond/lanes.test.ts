/** Lanes: how many effects are under way, and in which order. */
import { beforeEach, expect, it } from 'vitest'
import { Lanes } from '../../src/respond/lanes.ts'
import { settle } from '../clock.ts'

let lanes: Lanes
let begun: string[]
let ends: Map<string, () => void>

beforeEach(() => {
  lanes = new Lanes()
  begun = []
  ends = new Map()
})

function start(id: string, lane = 'one', width = 1): void {
  lanes.start({
    id, lane, width,
    perform: () => {
      begun.push(id)
      return new Promise((resolve) => ends.set(id, resolve))
    },
  })
}

it('runs so many of a lane at once, and the rest in their order', async () => {
  for (const id of ['a', 'b', 'c', 'd']) start(id, 'one', 2)
  expect(begun).toEqual(['a', 'b'])
  ends.get('b')!()
  await settle()
  expect(begun).toEqual(['a', 'b', 'c'])
})

it('lets lanes go beside each other', () => {
  start('a', 'one')
  start('b', 'two')
  expect(begun).toEqual(['a', 'b'])
})

it('does not start what is under way or waits, and starts it again afterwards', async () => {
  start('a')
  start('b')
  start('a')
  start('b')
  ends.get('a')!()
  await settle()
  ends.get('b')!()
  await settle()
  expect(begun).toEqual(['a', 'b'])
  start('a')
  expect(begun).toEqual(['a', 'b', 'a'])
})

it('once closed waits for what is under way, and begins nothing', async () => {
  start('a')
  start('b')
  let isClosed = false
  void lanes.close().then(() => (isClosed = true))
  start('c', 'two')
  await settle()
  expect(isClosed).toBe(false)
  ends.get('a')!()
  await settle()
  expect(isClosed).toBe(true)
  expect(begun).toEqual(['a'])
})
