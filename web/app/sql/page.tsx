/** The workbench: a file, a statement, and rows as they come. */

import { useEffect, useRef, useState } from 'preact/hooks'

import { ask, messageOf, stream } from '../api'
import { Table } from '../files/table'
import { formatBytes, formatDuration, formatNumber } from '../format'
import { graphql, type Json } from '../graphql'
import { FILES } from '../operations'
import { go } from '../route'
import { saveAnswer } from '../saving'
import { text } from '../text'
import { Bar, Fault, Field, Icon, toastFault } from '../ui'
import { Chart } from './chart'
import { Editor } from './editor'
import { quoted } from './language'

const ROWS_MAX = 10_000 // kept for the eye; whoever wants all downloads them
const SHOW_MS = 100
const NAMES = /\.(csv|tsv|jsonl?|ndjson|parquet)(\.(gz|bz2|zst))?$/i
const TYPES = ['text/csv', 'application/json', 'application/x-ndjson', 'application/vnd.apache.parquet', 'application/gzip']

const COLUMNS = graphql(`
  query Columns($id: ID!) {
    file(id: $id) {
      id
      name
      sqlSchema {
        columns {
          name
          type
        }
      }
    }
  }
`)

const SELECT_ROWS = graphql(`
  subscription SelectRows($input: SelectInput!) {
    selectRows(input: $input) {
      __typename
      ... on SqlRows {
        columns {
          name
        }
        rows
      }
      ... on SqlProgress {
        bytesScanned
        bytesTotal
      }
      ... on SqlEnd {
        stats {
          bytesScanned
          rowsReturned
          elapsedMs
        }
      }
    }
  }
`)

interface Queryable {
  id: string
  name: string
}

interface Result {
  columns: string[]
  rows: Json[][]
  count: number
  said: string
  part: number | null
  state: 'running' | 'done' | 'stopped'
}

export function QueryPage({ id }: { id: string }) {
  const [files, setFiles] = useState<Queryable[] | null>(null)
  const [columns, setColumns] = useState<{ name: string; type: string }[] | null>(null)
  const [sql, setSql] = useState('')
  const [result, setResult] = useState<Result | null>(null)
  const [fault, setFault] = useState('')
  const stopping = useRef<AbortController | null>(null)

  useEffect(() => {
    const orderBy = { field: 'CREATED_AT', direction: 'DESC' } as const
    const tables = ask(FILES, { filter: { contentType: { in: TYPES } }, orderBy, first: 100 })
    const texts = ask(FILES, { filter: { search: '.' }, orderBy, first: 100 })
    Promise.all([tables, texts])
      .then(([sure, others]) => {
        const found = [...sure.files.nodes, ...others.files.nodes.filter((file) => NAMES.test(file.name))]
        setFiles([...new Map(found.map((file) => [file.id, file])).values()])
      })
      .catch((error: unknown) => setFault(messageOf(error)))
    return () => stopping.current?.abort()
  }, [])

  useEffect(() => {
    if (id === '') return
    let isWanted = true
    setFault('')
    ask(COLUMNS, { id })
      .then(({ file }) => {
        if (!isWanted || file === null) return
        setFiles((known) => (known === null || known.some((one) => one.id === id) ? known : [file, ...known]))
        const found = file.sqlSchema?.columns ?? null
        if (found === null) setFault(text.sql.noSchema)
        setColumns(found)
        const first = found?.slice(0, 3).map((column) => `s.${quoted(column.name)}`)
        setSql(`SELECT ${first === undefined || first.length === 0 ? '*' : first.join(', ')}\nFROM S3Object s\nLIMIT 100`)
      })
      .catch((error: unknown) => isWanted && setFault(messageOf(error)))
    return () => {
      isWanted = false
    }
  }, [id])

  async function run() {
    stopping.current?.abort()
    const stop = new AbortController()
    stopping.current = stop
    setFault('')
    const now: Result = { columns: [], rows: [], count: 0, said: '', part: 0, state: 'running' }
    let later: ReturnType<typeof setTimeout> | null = null
    const show = () => {
      later = null
      if (stopping.current === stop) setResult({ ...now, rows: [...now.rows] })
    }
    show()
    try {
      const input = { fileId: id, sql }
      await stream(
        SELECT_ROWS,
        { input },
        ({ selectRows: frame }) => {
          if (frame.__typename === 'SqlRows') {
            now.columns = frame.columns.map((column) => column.name)
            now.count += frame.rows.length
            now.rows.push(...(frame.rows as Json[][]).slice(0, ROWS_MAX - now.rows.length))
          } else if (frame.__typename === 'SqlProgress') {
            now.part = frame.bytesTotal === 0 ? 1 : frame.bytesScanned / frame.bytesTotal
            now.said = text.sql.scanned(formatBytes(frame.bytesScanned), formatBytes(frame.bytesTotal))
          } else {
            const { rowsReturned, bytesScanned, elapsedMs } = frame.stats
            const rows = text.sql.rows(formatNumber(rowsReturned), rowsReturned === 1)
            const time = elapsedMs < 1000 ? text.sql.milliseconds(formatNumber(elapsedMs)) : formatDuration(elapsedMs / 1000)
            now.said = text.sql.stats(rows, formatBytes(bytesScanned), time)
          }
          later ??= setTimeout(show, SHOW_MS)
        },
        stop.signal,
      )
      now.state = stop.signal.aborted ? 'stopped' : 'done'
    } catch (error) {
      now.state = 'stopped'
      if (!stop.signal.aborted) setFault(messageOf(error))
    }
    now.part = null
    if (later !== null) clearTimeout(later)
    show()
  }

  async function download() {
    const name = files?.find((file) => file.id === id)?.name ?? 'result'
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sql, output: { format: 'csv', header: true } }),
    }
    try {
      await saveAnswer(`/api/v1/files/${encodeURIComponent(id)}/query`, init, `${name.replace(/\.[^.]*$/, '')}-result.csv`)
    } catch (error) {
      toastFault(error)
    }
  }

  const isRunning = result?.state === 'running'
  return (
    <div class="page query-page">
      <h1>{text.sql.title}</h1>
      <p class="quiet">{text.sql.lead}</p>
      {files?.length === 0 ? (
        <div class="empty">
          <Icon name="table" />
          <p>{text.sql.none}</p>
        </div>
      ) : (
        <Field label={text.sql.file}>
          {(ids) => (
            <select {...ids} value={id} onChange={(event) => go('query', event.currentTarget.value)}>
              <option value="" disabled>
                {text.sql.pick}
              </option>
              {files?.map((file) => (
                <option key={file.id} value={file.id}>
                  {file.name}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      {columns !== null && (
        <>
          <Editor value={sql} columns={columns.map((column) => column.name)} onChange={setSql} onRun={run} />
          <div class="run">
            {isRunning ? (
              <button type="button" onClick={() => stopping.current?.abort()}>
                <Icon name="close" />
                {text.sql.stop}
              </button>
            ) : (
              <button type="button" class="primary" onClick={run}>
                <Icon name="play" />
                {text.sql.run}
              </button>
            )}
            <button type="button" onClick={download}>
              <Icon name="download" />
              {text.sql.download}
            </button>
            <small>{text.sql.hint}</small>
          </div>
        </>
      )}
      <Fault message={fault} />
      {result !== null && (
        <section class="result" aria-label={text.sql.title} data-state={result.state}>
          {result.part !== null && <Bar part={result.part} label={text.sql.running} />}
          <p role="status" class="quiet">
            {result.state === 'stopped' ? `${text.sql.stopped}. ` : ''}
            {result.said}
            {result.count > result.rows.length && ` ${text.sql.kept(formatNumber(result.rows.length))}`}
            {result.state === 'done' && result.count === 0 && ` ${text.sql.empty}`}
          </p>
          {result.rows.length > 0 && (
            <>
              {result.state !== 'running' && <Chart columns={result.columns} rows={result.rows} />}
              <Table columns={result.columns} rows={result.rows} label={text.sql.title} />
            </>
          )}
        </section>
      )}
    </div>
  )
}
