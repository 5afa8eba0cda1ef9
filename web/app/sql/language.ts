/** What the dialect of S3 Select knows, for colours and suggestions. The server alone decides what is right. */

export const KEYWORDS = [
  ...['SELECT', 'FROM', 'WHERE', 'LIMIT', 'AS', 'AND', 'OR', 'NOT', 'IN', 'LIKE', 'ESCAPE', 'BETWEEN', 'IS', 'NULL'],
  ...['MISSING', 'TRUE', 'FALSE', 'CASE', 'WHEN', 'THEN', 'ELSE', 'END', 'S3Object'],
]
export const FUNCTIONS = [
  ...['COUNT', 'SUM', 'AVG', 'MIN', 'MAX', 'CAST', 'COALESCE', 'NULLIF', 'LOWER', 'UPPER', 'TRIM', 'SUBSTRING'],
  ...['CHAR_LENGTH', 'CHARACTER_LENGTH', 'DATE_ADD', 'DATE_DIFF', 'EXTRACT', 'TO_STRING', 'TO_TIMESTAMP', 'UTCNOW'],
]
export const TYPES = ['INT', 'INTEGER', 'FLOAT', 'DECIMAL', 'NUMERIC', 'STRING', 'BOOL', 'TIMESTAMP']

export type TokenKind = 'keyword' | 'function' | 'string' | 'number' | 'name' | 'other'

export interface Token {
  kind: TokenKind
  text: string
}

const TOKENS = /('(?:[^']|'')*'?|`[^`]*`?)|("(?:[^"]|"")*"?)|(\d+(?:\.\d+)?)|([A-Za-z_][A-Za-z0-9_]*)|(\s+|.)/gsu
const UPPER_KEYWORDS = new Set([...KEYWORDS, ...TYPES].map((word) => word.toUpperCase()))
const UPPER_FUNCTIONS = new Set(FUNCTIONS)

/** Part a statement; put together again, the parts are the statement. */
export function tokensOf(sql: string): Token[] {
  return [...sql.matchAll(TOKENS)].map(([text, literal, quoted, number, word]) => {
    if (literal !== undefined) return { kind: 'string', text }
    if (quoted !== undefined) return { kind: 'name', text }
    if (number !== undefined) return { kind: 'number', text }
    if (word === undefined) return { kind: 'other', text }
    const upper = word.toUpperCase()
    if (UPPER_KEYWORDS.has(upper)) return { kind: 'keyword', text }
    return { kind: UPPER_FUNCTIONS.has(upper) ? 'function' : 'name', text }
  })
}

export interface Suggestion {
  label: string
  insert: string
  kind: 'column' | 'function' | 'keyword'
}

const SUGGESTIONS_MAX = 8

/** Find what may be meant by the word before `caret`, columns first. */
export function suggestionsAt(sql: string, caret: number, columns: readonly string[]): { from: number; found: Suggestion[] } {
  const word = /[A-Za-z_][A-Za-z0-9_]*$/.exec(sql.slice(0, caret))?.[0] ?? ''
  const from = caret - word.length
  const isAfterDot = sql[from - 1] === '.'
  if (isInText(sql.slice(0, from)) || (word === '' && !isAfterDot)) return { from, found: [] }
  const wanted = word.toLowerCase()
  const fits = (name: string) => name.toLowerCase().startsWith(wanted) && name !== word
  const found: Suggestion[] = columns.filter(fits).map((name) => ({ label: name, insert: quoted(name), kind: 'column' }))
  if (!isAfterDot) {
    found.push(...FUNCTIONS.filter(fits).map((name): Suggestion => ({ label: name, insert: `${name}(`, kind: 'function' })))
    found.push(...[...KEYWORDS, ...TYPES].filter(fits).map((name): Suggestion => ({ label: name, insert: `${name} `, kind: 'keyword' })))
  }
  return { from, found: found.slice(0, SUGGESTIONS_MAX) }
}

function isInText(before: string): boolean {
  const last = tokensOf(before).at(-1)
  return last?.kind === 'string' && (last.text.length === 1 || !/['`]$/.test(last.text))
}

/** Write a column's name so that it means this column, whatever is in it. */
export function quoted(name: string): string {
  const isPlain = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !UPPER_KEYWORDS.has(name.toUpperCase())
  return isPlain && !UPPER_FUNCTIONS.has(name.toUpperCase()) ? name : `"${name.replaceAll('"', '""')}"`
}
