/** A picture of one column of numbers: bars for a few, a line for many. */

import { useState } from 'preact/hooks'

import type { Json } from '../graphql'
import { formatNumber } from '../format'
import { text } from '../text'
import { shown } from '../files/table'

const BARS_MAX = 40
const POINTS_MAX = 500
const WIDTH = 1000
const HEIGHT = 220
const FOOT = 26
const LABELS_MAX = 12

type Rows = readonly (readonly (Json | null)[])[]

/** Give the numbers of a column, also those that a CSV has as text; null where something else is in it. */
export function numbersOf(rows: Rows, column: number): number[] | null {
  const numbers: number[] = []
  for (const row of rows) {
    const cell = row[column]
    if (cell === null || cell === undefined || cell === '') return null
    const number = typeof cell === 'number' ? cell : typeof cell === 'string' && cell.trim() !== '' ? Number(cell) : Number.NaN
    if (!Number.isFinite(number)) return null
    numbers.push(number)
  }
  return numbers.length === 0 ? null : numbers
}

export function Chart({ columns, rows }: { columns: readonly string[]; rows: Rows }) {
  const points = rows.slice(0, POINTS_MAX)
  const numeric = columns.map((_, place) => place).filter((place) => numbersOf(points, place) !== null)
  const named = columns.findIndex((_, place) => !numeric.includes(place))
  const [chosen, setChosen] = useState<number | null>(null)
  const [chosenLabel, setChosenLabel] = useState<number | null>(null)
  const column = chosen !== null && numeric.includes(chosen) ? chosen : numeric.at(-1)
  if (column === undefined) return null
  const label = chosenLabel ?? named
  const numbers = numbersOf(points, column) ?? []
  const labels = points.map((row, place) => (label < 0 ? formatNumber(place + 1) : shown(row[label])))
  const by = label < 0 ? text.sql.rowNumber : (columns[label] ?? '')
  return (
    <section class="card chart" aria-label={text.sql.chart}>
      <header>
        <h2>{text.sql.chart}</h2>
        <span class="spacer" />
        <label class="inline">
          <span>{text.sql.chartValue}</span>
          <select value={column} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {numeric.map((place) => (
              <option key={place} value={place}>
                {columns[place]}
              </option>
            ))}
          </select>
        </label>
        <label class="inline">
          <span>{text.sql.chartLabel}</span>
          <select value={label} onChange={(event) => setChosenLabel(Number(event.currentTarget.value))}>
            <option value={-1}>{text.sql.rowNumber}</option>
            {columns.map((name, place) => (
              <option key={place} value={place}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </header>
      <Picture numbers={numbers} labels={labels} title={text.sql.chartOf(columns[column] ?? '', by)} />
    </section>
  )
}

function Picture({ numbers, labels, title }: { numbers: number[]; labels: string[]; title: string }) {
  const top = Math.max(0, ...numbers)
  const bottom = Math.min(0, ...numbers)
  const span = top - bottom || 1
  const y = (value: number) => 8 + ((top - value) / span) * (HEIGHT - FOOT - 8)
  const step = WIDTH / numbers.length
  const everyLabel = Math.ceil(numbers.length / LABELS_MAX)
  const line = numbers.map((value, place) => `${place === 0 ? 'M' : 'L'}${(place + 0.5) * step} ${y(value)}`).join('')
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={title} dir="ltr">
      <title>{title}</title>
      <line x1="0" x2={WIDTH} y1={y(0)} y2={y(0)} class="axis" />
      {numbers.length > BARS_MAX ? (
        <path d={line} class="curve" />
      ) : (
        numbers.map((value, place) => (
          <rect
            key={place}
            class="column"
            x={place * step + step * 0.15}
            y={Math.min(y(value), y(0))}
            width={step * 0.7}
            height={Math.max(1, Math.abs(y(value) - y(0)))}
            rx="3"
          >
            <title>{`${labels[place] ?? ''}: ${formatNumber(value)}`}</title>
          </rect>
        ))
      )}
      {labels.map(
        (label, place) =>
          place % everyLabel === 0 && (
            <text key={place} x={(place + 0.5) * step} y={HEIGHT - 8} text-anchor="middle">
              {label.length > 12 ? `${label.slice(0, 11)}…` : label}
            </text>
          ),
      )}
      <text x="2" y="14" class="scale">
        {formatNumber(top)}
      </text>
    </svg>
  )
}
