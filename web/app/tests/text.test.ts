import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const APP = new URL('..', import.meta.url)
const VIEWS = readdirSync(APP, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.tsx'))

/** Words between tags, or in an attribute that is read out or shown. */
const WORDS = />\s*[A-Za-z][a-z]+(?: [a-z]+)*\s*<\/|(?:aria-label|title|placeholder|alt)="[A-Za-z]/

test.each(VIEWS)('every word of %s is in the catalogue', (path) => {
  const lines = readFileSync(new URL(path, APP), 'utf8').split('\n')
  expect(lines.filter((line) => WORDS.test(line))).toEqual([])
})

test('sides are logical, so that it can be read from right to left', () => {
  const css = readFileSync(new URL('app.css', APP), 'utf8')
  const sided = /^\s*(?:(?:margin|padding|border|inset|max|min)-)?(?:left|right|width|height)(?:-\w+)?\s*:|text-align:\s*(?:left|right)/
  expect(css.split('\n').filter((line) => sided.test(line))).toEqual([])
})
