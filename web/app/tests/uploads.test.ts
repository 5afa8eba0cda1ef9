import { expect, test } from 'vitest'

import { foundIn } from '../uploads/dropped'
import { fingerprintOf } from '../uploads/fingerprint'
import { Speed } from '../uploads/speed'

const SIZE = 1_000_000

function content(change?: number): Blob {
  const bytes = new Uint8Array(SIZE).map((_, place) => place % 251)
  if (change !== undefined) bytes[change] = 255
  return new Blob([bytes])
}

test('a fingerprint is that of the content, wherever it is taken', async () => {
  expect(await fingerprintOf(content())).toBe(await fingerprintOf(content()))
})

test.each([
  ['beginning', 0],
  ['middle', SIZE / 2],
  ['end', SIZE - 1],
])('another byte at the %s gives another fingerprint', async (_where, place) => {
  expect(await fingerprintOf(content(place))).not.toBe(await fingerprintOf(content()))
})

test('another length gives another fingerprint, of nothing too', async () => {
  const short = await fingerprintOf(content().slice(0, SIZE - 1))
  expect(new Set([short, await fingerprintOf(content()), await fingerprintOf(new Blob([]))]).size).toBe(3)
})

test('speed is that of the last seconds, and time left follows from it', () => {
  const speed = new Speed()
  for (let second = 0; second <= 20; second += 1) speed.note(second < 10 ? 0 : (second - 10) * 1000, second * 1000)
  expect(speed.perSecond(20_000)).toBe(1000)
  expect(speed.secondsLeft(5000, 20_000)).toBe(5)
})

test('a transfer that stands gets slower, and says nothing after a reset', () => {
  const speed = new Speed()
  speed.note(0, 0)
  speed.note(1000, 1000)
  expect(speed.perSecond(4000)).toBe(250)
  speed.reset()
  expect(speed.perSecond(4000)).toBeNull()
  expect(speed.secondsLeft(1, 4000)).toBeNull()
})

test('a file of a folder knows where it lay', () => {
  const file = Object.assign(new File(['x'], 'a.txt'), {})
  Object.defineProperty(file, 'webkitRelativePath', { value: 'cargo/inner/a.txt' })
  expect(foundIn([file, new File(['y'], 'b.txt')]).map(({ folder }) => folder)).toEqual(['cargo/inner', ''])
})
