/** Rows of cells, as they come out of a query. */

import type { Json } from '../graphql'
import { Virtual } from './virtual'

const ROW_HEIGHT = 34
const ROWS_AT_ONCE = 100

interface TableProps {
  columns: readonly string[]
  rows: readonly (readonly (Json | null)[])[]
  label: string
}

export function shown(cell: Json | undefined): string {
  if (cell === null || cell === undefined) return ''
  return typeof cell === 'object' ? JSON.stringify(cell) : String(cell)
}

/** A short table as it is; a long one with what is in sight only. */
export function Table({ columns, rows, label }: TableProps) {
  if (rows.length > ROWS_AT_ONCE) return <LongTable columns={columns} rows={rows} label={label} />
  return (
    <div class="table" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((column, place) => (
              <th key={place} scope="col" dir="auto">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, number) => (
            <tr key={number}>
              {columns.map((_, place) => (
                <td key={place} dir="auto" class={typeof row[place] === 'number' ? 'number' : ''}>
                  {shown(row[place])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function LongTable({ columns, rows, label }: TableProps) {
  const template = { gridTemplateColumns: `repeat(${columns.length}, minmax(120px, 1fr))` }
  return (
    <div class="long-table" role="table" aria-label={label} aria-rowcount={rows.length + 1}>
      <div role="rowgroup">
        <div role="row" class="long-row head" style={template}>
          {columns.map((column, place) => (
            <span key={place} role="columnheader" dir="auto">
              {column}
            </span>
          ))}
        </div>
      </div>
      <Virtual count={rows.length} rowHeight={ROW_HEIGHT} label={label}>
        {(from, to) =>
          rows.slice(from, to).map((row, offset) => (
            <div key={from + offset} role="row" aria-rowindex={from + offset + 2} class="long-row" style={template}>
              {columns.map((_, place) => (
                <span key={place} role="cell" dir="auto" class={typeof row[place] === 'number' ? 'number' : ''}>
                  {shown(row[place])}
                </span>
              ))}
            </div>
          ))
        }
      </Virtual>
    </div>
  )
}
