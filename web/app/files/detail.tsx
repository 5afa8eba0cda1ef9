/** One file: what it holds, what is known about it, and what can be done with it. */

import { useEffect, useState } from 'preact/hooks'

import { accepted, ask, authorised, messageOf, Problem } from '../api'
import { formatBytes, formatExactBytes, formatMoment, formatNumber } from '../format'
import { graphql, type ResultOf } from '../graphql'
import { isAdmin, mayUpload } from '../home'
import { FILE_ROW, nameOf, noted } from '../operations'
import { go, hrefOf } from '../route'
import { saveAnswer } from '../saving'
import { session } from '../session'
import { ShareDialog } from '../share/dialog'
import { text } from '../text'
import { Dialog, Fault, Field, fieldsOf, Icon, toast, toastFault, useAction } from '../ui'
import { deleteFiles, lastChange, restoreFiles } from './store'
import { Table } from './table'

const PREVIEW_BYTES = 64 * 1024
const PREVIEW_ROWS = 50
const OWN_KEYS = new Set(['filename', 'filetype', 'fingerprint', 'visibility', 'folder'])

const FILE = graphql(
  `
    query File($id: ID!) {
      file(id: $id) {
        ...FileRow
        sha256
        updatedAt
        downloadUrl
        shownUrl: downloadUrl(ttlSeconds: 3600, disposition: INLINE)
        jobs {
          id
          kind
          status
          progress
          error
          queuedAt
          finishedAt
        }
      }
    }
  `,
  [FILE_ROW],
)
type Detail = NonNullable<ResultOf<typeof FILE>['file']>

const SCHEMA = graphql(`
  query Schema($id: ID!) {
    file(id: $id) {
      sqlSchema {
        format
        columns {
          name
          type
        }
      }
    }
  }
`)
type Schema = NonNullable<NonNullable<ResultOf<typeof SCHEMA>['file']>['sqlSchema']>

const FIRST_ROWS = graphql(`
  query FirstRows($input: SelectInput!, $limit: Int!) {
    select(input: $input, limit: $limit) {
      columns {
        name
      }
      rows
    }
  }
`)

const UPDATE = graphql(`
  mutation Update($input: UpdateFileInput!) {
    updateFile(input: $input) {
      file {
        id
      }
      userErrors {
        message
        code
        path
      }
    }
  }
`)

/** Take an address of ours by the origin that the page came from, whatever the server calls itself. */
function here(url: string): string {
  const { pathname, search } = new URL(url, location.href)
  return pathname + search
}

export function FilePage({ id }: { id: string }) {
  const [file, setFile] = useState<Detail | null | undefined>(undefined)
  const [fault, setFault] = useState('')
  const [dialog, setDialog] = useState<'edit' | 'share' | null>(null)
  const [asked, setAsked] = useState(0)
  const changes = lastChange.value.fileId === id ? lastChange.value.count : 0
  useEffect(() => {
    let isWanted = true
    ask(FILE, { id })
      .then((answer) => isWanted && setFile(answer.file))
      .catch((error: unknown) => {
        if (!isWanted) return
        if (error instanceof Problem && /not_found|NOT_FOUND/.test(error.code)) setFile(null)
        else setFault(messageOf(error))
      })
    return () => {
      isWanted = false
    }
  }, [id, changes, asked])
  if (fault !== '') return <Fault message={fault} />
  if (file === undefined) return <p class="loading">{text.loading}</p>
  if (file === null) {
    return (
      <div class="empty">
        <Icon name="page" />
        <h1>{text.file.missing}</h1>
        <a class="button" href={hrefOf('files')}>
          {text.back}
        </a>
      </div>
    )
  }
  const isMine = file.uploadedBy?.id === session.value?.userId
  const mayChange = mayUpload.value && (isMine || isAdmin.value)
  const isGone = file.deletedAt !== null
  return (
    <article class="file-page">
      <header class="page-head">
        <a class="button icon-button" href={hrefOf(isGone ? 'trash' : 'files')} aria-label={text.back} title={text.back}>
          <Icon name="back" />
        </a>
        <h1 dir="auto">{file.name}</h1>
        <span class="spacer" />
        {isGone && (
          <button type="button" onClick={() => restoreFiles([id]).then(() => setAsked(asked + 1))}>
            <Icon name="restore" />
            {text.files.restore}
          </button>
        )}
        {!isGone && mayChange && (
          <>
            <button type="button" onClick={() => setDialog('edit')}>
              {text.file.edit}
            </button>
            <button type="button" onClick={() => setDialog('share')}>
              <Icon name="link" />
              {text.file.share}
            </button>
            <button type="button" onClick={() => deleteFiles([id]).then(() => go('files'))}>
              <Icon name="trash" />
              {text.files.delete}
            </button>
          </>
        )}
        {file.downloadUrl !== null && (
          <a class="button primary" href={here(file.downloadUrl)} download>
            <Icon name="download" />
            {text.file.download}
          </a>
        )}
      </header>
      <div class="file-columns">
        <Preview key={`${id} ${file.status}`} file={file} />
        <Details file={file} />
      </div>
      {dialog === 'edit' && (
        <EditDialog
          file={file}
          onClose={() => {
            setDialog(null)
            setAsked(asked + 1)
          }}
        />
      )}
      {dialog === 'share' && <ShareDialog fileId={id} name={file.name} onClose={() => setDialog(null)} />}
    </article>
  )
}

function Details({ file }: { file: Detail }) {
  const folder = noted(file, 'folder')
  const rows: [string, string | null][] = [
    [text.file.status, text.files.status[file.status] ?? file.status],
    [text.files.size, formatExactBytes(file.size)],
    [text.file.type, file.contentType],
    [text.visibility.label, text.visibility[file.visibility]],
    [text.file.folder, folder === '' ? null : folder],
    [text.file.resource, file.resource === null ? null : `${file.resource.type} ${file.resource.id}`],
    [text.file.uploaded, formatMoment(file.createdAt)],
    [text.file.uploadedBy, file.uploadedBy === null ? text.files.guest : nameOf(file.uploadedBy)],
    [text.file.changed, formatMoment(file.updatedAt)],
    [text.file.expires, file.expiresAt === null ? null : formatMoment(file.expiresAt)],
    ...file.metadata.filter(({ key }) => !OWN_KEYS.has(key)).map(({ key, value }): [string, string] => [key, value]),
  ]
  async function saveReceipt() {
    try {
      await saveAnswer(`/api/v1/files/${encodeURIComponent(file.id)}/receipt`, {}, `${file.name}.receipt`)
    } catch (error) {
      toastFault(error)
    }
  }
  return (
    <section class="card details" aria-label={text.file.details}>
      <h2>{text.file.details}</h2>
      <dl>
        {rows.map(
          ([label, value]) =>
            value !== null && (
              <div key={label}>
                <dt dir="auto">{label}</dt>
                <dd dir="auto">{value}</dd>
              </div>
            ),
        )}
        <div>
          <dt>{text.file.sha256}</dt>
          <dd class="mono" dir="ltr">
            {file.sha256 ?? text.file.sha256Pending}
          </dd>
        </div>
      </dl>
      {file.sha256 !== null && (
        <button type="button" class="quiet" onClick={saveReceipt}>
          <Icon name="download" />
          {text.file.receipt}
        </button>
      )}
      {file.jobs.length > 0 && (
        <>
          <h2>{text.file.jobs}</h2>
          <ul class="jobs">
            {file.jobs.map((job) => (
              <li key={job.id}>
                <span>{job.kind}</span>
                <span class={`status ${job.status}`}>{text.jobs[job.status]}</span>
                {job.error !== null && <small>{job.error}</small>}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  )
}

function Preview({ file }: { file: Detail }) {
  const { contentType, shownUrl } = file
  const kind = contentType.split('/')[0]
  const isTable = /csv|json|parquet/.test(contentType) || /\.(csv|jsonl?|ndjson|parquet)(\.gz|\.bz2|\.zst)?$/i.test(file.name)
  return (
    <section class="card preview" aria-label={text.file.preview}>
      {shownUrl === null ? (
        <p class="quiet">{text.files.status[file.status] ?? text.file.noPreview}</p>
      ) : kind === 'image' && contentType !== 'image/svg+xml' ? (
        <img src={here(shownUrl)} alt={text.file.imageAlt(file.name)} />
      ) : kind === 'video' ? (
        <video src={here(shownUrl)} controls preload="metadata" />
      ) : kind === 'audio' ? (
        <audio src={here(shownUrl)} controls preload="metadata" />
      ) : isTable ? (
        <TablePreview file={file} url={here(shownUrl)} />
      ) : kind === 'text' || contentType.endsWith('xml') ? (
        <TextPreview url={here(shownUrl)} size={file.size} />
      ) : (
        <p class="quiet">{text.file.noPreview}</p>
      )}
    </section>
  )
}

function TextPreview({ url, size }: { url: string; size: number }) {
  const [content, setContent] = useState<string | null>(null)
  const [fault, setFault] = useState('')
  useEffect(() => {
    const stopping = new AbortController()
    const headers = size === 0 ? {} : { range: `bytes=0-${Math.min(size, PREVIEW_BYTES) - 1}` }
    authorised(url, { headers, signal: stopping.signal })
      .then((answer) => answer.arrayBuffer())
      // What is cut off within a character shows no odd sign.
      .then((bytes) => setContent(new TextDecoder().decode(bytes, { stream: size > PREVIEW_BYTES })))
      .catch((error: unknown) => !stopping.signal.aborted && setFault(messageOf(error)))
    return () => stopping.abort()
  }, [url])
  if (fault !== '') return <Fault message={fault} />
  return (
    <>
      <pre dir="auto" tabIndex={0}>
        {content ?? text.loading}
      </pre>
      {size > PREVIEW_BYTES && <p class="quiet">{text.file.tooLarge(formatBytes(PREVIEW_BYTES))}</p>}
    </>
  )
}

/** The columns and the first rows of a file that can be queried; the bare text of one that cannot after all. */
function TablePreview({ file, url }: { file: Detail; url: string }) {
  const [schema, setSchema] = useState<Schema | null | undefined>(undefined)
  const [rows, setRows] = useState<ResultOf<typeof FIRST_ROWS>['select'] | null>(null)
  useEffect(() => {
    let isWanted = true
    const load = async () => {
      const found = (await ask(SCHEMA, { id: file.id })).file?.sqlSchema ?? null
      if (!isWanted) return
      setSchema(found)
      if (found === null) return
      const input = { fileId: file.id, sql: `SELECT * FROM S3Object LIMIT ${PREVIEW_ROWS}` }
      const { select } = await ask(FIRST_ROWS, { input, limit: PREVIEW_ROWS })
      if (isWanted) setRows(select)
    }
    load().catch(() => isWanted && setSchema((known) => known ?? null))
    return () => {
      isWanted = false
    }
  }, [file.id])
  if (schema === undefined) return <p class="loading">{text.loading}</p>
  if (schema === null) return <TextPreview url={url} size={file.size} />
  return (
    <>
      <div class="preview-head">
        <h2>{text.file.rows(formatNumber(rows?.rows.length ?? 0))}</h2>
        <a class="button" href={hrefOf('query', file.id)}>
          <Icon name="query" />
          {text.file.query}
        </a>
      </div>
      {rows !== null && <Table columns={rows.columns.map((column) => column.name)} rows={rows.rows} label={file.name} />}
      <details class="columns">
        <summary>
          {text.file.columns} ({formatNumber(schema.columns.length)})
        </summary>
        <Table
          columns={[text.file.column, text.file.columnType]}
          rows={schema.columns.map(({ name, type }) => [name, type])}
          label={text.file.columns}
        />
      </details>
    </>
  )
}

function EditDialog({ file, onClose }: { file: Detail; onClose: () => void }) {
  const { isBusy, fault, run } = useAction()
  return (
    <Dialog title={text.file.edit} onClose={onClose}>
      <form
        onSubmit={(event) => {
          const field = fieldsOf(event)
          void run(async () => {
            const [type, id, expires] = [field('resourceType'), field('resourceId'), field('expires')]
            const input = {
              fileId: file.id,
              ifVersion: file.version,
              name: field('name'),
              visibility: field('visibility') as Detail['visibility'],
              resource: type === '' && id === '' ? null : { type, id },
              expiresAt: expires === '' ? null : new Date(expires).toISOString(),
            }
            try {
              accepted((await ask(UPDATE, { input })).updateFile)
            } catch (error) {
              if (error instanceof Problem && error.code === 'CONFLICT') toast(text.file.conflict, { kind: 'error' })
              else throw error
            }
            onClose()
          })
        }}
      >
        <Field label={text.file.rename}>{(ids) => <input {...ids} name="name" required defaultValue={file.name} dir="auto" />}</Field>
        <Field label={text.visibility.label} hint={text.visibility.hint}>
          {(ids) => (
            <select {...ids} name="visibility" defaultValue={file.visibility}>
              {(['PRIVATE', 'TENANT', 'LINK', 'PUBLIC'] as const).map((value) => (
                <option key={value} value={value} selected={value === file.visibility}>
                  {text.visibility[value]}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label={text.file.expires} hint={text.file.expiresHint}>
          {(ids) => (
            <input {...ids} name="expires" type="datetime-local" defaultValue={file.expiresAt === null ? '' : localOf(file.expiresAt)} />
          )}
        </Field>
        <fieldset class="pair">
          <legend>{text.file.resource}</legend>
          <Field label={text.file.resourceType}>
            {(ids) => <input {...ids} name="resourceType" defaultValue={file.resource?.type ?? ''} />}
          </Field>
          <Field label={text.file.resourceId}>
            {(ids) => <input {...ids} name="resourceId" defaultValue={file.resource?.id ?? ''} />}
          </Field>
        </fieldset>
        <Fault message={fault} />
        <div class="actions">
          <button type="button" onClick={onClose}>
            {text.cancel}
          </button>
          <button class="primary" disabled={isBusy}>
            {text.save}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

/** Write a moment as a field of the browser's own wants it: the time of this place, without a zone. */
function localOf(iso: string): string {
  const moment = new Date(iso)
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
