import { expect, test } from 'vitest'

import { numbersOf } from '../sql/chart'
import { quoted, suggestionsAt, tokensOf } from '../sql/language'

const COLUMNS = ['ship', 'shipped at', 'count', 'Port']

test.each(["SELECT s.a, 'it''s' FROM S3Object s -- \n WHERE `2026T` = \"x\"", '', "'open", 'ü ☃ 1.5'])(
  'the parts of %j are the whole',
  (sql) => {
    expect(tokensOf(sql).map((token) => token.text).join('')).toBe(sql)
  },
)

test('words are told apart whatever their case, and not within texts', () => {
  const kinds = Object.fromEntries(tokensOf("select Count(x), 'from' from").map(({ text, kind }) => [text, kind]))
  expect(kinds).toMatchObject({ select: 'keyword', Count: 'function', x: 'name', "'from'": 'string', from: 'keyword' })
})

test.each([
  ['SELECT s.sh', ['ship', 'shipped at']],
  ['SELECT s.', ['ship', 'shipped at', 'count', 'Port']],
  ['SELECT COU', ['count', 'COUNT']],
  ["WHERE x = 'sh", []],
  ['SELECT ', []],
])('at the end of %j there is offered %j', (sql, expected) => {
  expect(suggestionsAt(sql, sql.length, COLUMNS).found.map((one) => one.label)).toEqual(expected)
})

test.each([
  ['ship', 'ship'],
  ['shipped at', '"shipped at"'],
  ['count', '"count"'],
  ['say "ahoy"', '"say ""ahoy"""'],
])('the column %j is written %s', (name, expected) => {
  expect(quoted(name)).toBe(expected)
})

test.each([
  [[['1'], ['2.5']], [1, 2.5]],
  [[[1], [-2]], [1, -2]],
  [[['1'], ['']], null],
  [[['1'], [null]], null],
  [[['Anna']], null],
  [[], null],
])('of %j the numbers are %j', (rows, expected) => {
  expect(numbersOf(rows, 0)).toEqual(expected)
})
