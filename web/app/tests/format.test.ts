import { expect, test } from 'vitest'

import { formatBytes, formatDuration, formatExactBytes, formatShare, formatSpeed, shareOf } from '../format'

test.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [999, '999 bytes'],
  [1000, '1 kB'],
  [1234, '1.23 kB'],
  [12_345, '12.3 kB'],
  [999_499, '999 kB'],
  [999_500, '1 MB'],
  [5e9, '5 GB'],
  [8e15, '8 PB'],
])('%d bytes are read as %s', (bytes, expected) => {
  expect(formatBytes(bytes)).toBe(expected)
})

test('the exact number stands behind a rounded size, and is not said twice', () => {
  expect(formatExactBytes(75)).toBe('75 bytes')
  expect(formatExactBytes(1234)).toBe('1.23 kB (1,234)')
})

test.each([
  [0.2, '1 s'],
  [59, '59 s'],
  [60, '1 min'],
  [3601, '2 h'],
  [90_000, '2 days'],
  [Number.POSITIVE_INFINITY, 'time unknown'],
])('%d seconds are read as %s', (seconds, expected) => {
  expect(formatDuration(seconds)).toBe(expected)
})

test('a part of nothing is all of it, and never more than all', () => {
  expect(shareOf(0, 0)).toBe(1)
  expect(shareOf(5, 4)).toBe(1)
  expect(formatShare(1, 3)).toBe('33%')
  expect(formatSpeed(2_000_000)).toBe('2 MB/s')
})
