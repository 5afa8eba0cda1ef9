/** What somebody without an account sees behind a link: a file to download, or a place to upload files to. */

import { signal } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { Upload } from 'tus-js-client'

import { messageOf, sentence } from '../api'
import { formatBytes, formatMoment, formatShare, shareOf } from '../format'
import { text } from '../text'
import { Bar, Fault, Field, fieldsOf, Icon, IconButton, Toasts, useAction } from '../ui'
import { type Found, foundIn, foundInDrop } from '../uploads/dropped'
import { PatientStack } from '../uploads/stack'

const SENDING_MAX = 3
const RETRY_DELAYS_MS = [500, 1000, ...Array<number>(5000).fill(2000)]

interface SharedFile {
  kind: 'download'
  name: string
  size: number
  content_type: string
  expires_at: string | null
  download_url: string | null
}

interface FileRequest {
  kind: 'upload'
  uploads_url: string
  headers: Record<string, string>
  size_max: number
  content_types: string[] | null
  expires_at: string | null
}

type Opened = SharedFile | FileRequest

/** Ask what is behind a link. */
async function open(token: string, password: string): Promise<Opened | 'password' | 'gone'> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (password !== '') headers['share-password'] = password
  const answer = await fetch(`/s/${encodeURIComponent(token)}`, { headers, cache: 'no-store' })
  if (answer.ok) return (await answer.json()) as Opened
  const problem = (await answer.json().catch(() => ({}))) as { code?: string; detail?: string }
  if (problem.code === 'link_password_required' && password === '') return 'password'
  if (answer.status === 404 || answer.status === 410) return 'gone'
  throw new Error(sentence(problem.detail ?? text.errors.http(String(answer.status))))
}

export function Guest({ token }: { token: string }) {
  const [opened, setOpened] = useState<Opened | 'password' | 'gone' | null>(null)
  const [password, setPassword] = useState('')
  const { isBusy, fault, run } = useAction()
  useEffect(() => void run(async () => setOpened(await open(token, ''))), [token])
  return (
    <main class="welcome" id="content">
      <div class="card">
        <div class="brand">
          <img src={new URL('../../graphiql/icon.svg', import.meta.url).href} alt="" width="32" height="32" />
          <strong>{text.product}</strong>
        </div>
        <Fault message={fault} />
        {opened === null && fault === '' && <p class="loading">{text.loading}</p>}
        {opened === 'gone' && (
          <>
            <h1>{text.guest.gone}</h1>
            <p class="quiet">{text.guest.goneLead}</p>
          </>
        )}
        {opened === 'password' && (
          <form
            onSubmit={(event) => {
              const given = fieldsOf(event)('password')
              void run(async () => {
                setOpened(await open(token, given))
                setPassword(given)
              })
            }}
          >
            <h1>{text.guest.password}</h1>
            <Field label={text.account.password}>
              {(ids) => <input {...ids} name="password" type="password" autoComplete="off" required />}
            </Field>
            <button class="primary wide" disabled={isBusy}>
              {text.guest.open}
            </button>
          </form>
        )}
        {typeof opened === 'object' && opened?.kind === 'download' && <Download shared={opened} />}
        {typeof opened === 'object' && opened?.kind === 'upload' && (
          <UploadHere request={opened} reopen={() => open(token, password)} />
        )}
      </div>
      <Toasts />
    </main>
  )
}

/** Take an address of the server by the origin that this page came from. */
function here(url: string): string {
  const { pathname, search } = new URL(url, location.href)
  return pathname + search
}

function Download({ shared }: { shared: SharedFile }) {
  return (
    <>
      <h1>{text.guest.shared}</h1>
      <div class="guest-file">
        <Icon name="page" />
        <span>
          <strong dir="auto">{shared.name}</strong>
          <small>
            {formatBytes(shared.size)}
            {shared.expires_at !== null && ` · ${text.guest.until(formatMoment(shared.expires_at))}`}
          </small>
        </span>
      </div>
      {shared.download_url === null ? (
        <p class="quiet">{text.files.status.PROCESSING}</p>
      ) : (
        <a class="button primary" href={here(shared.download_url)} download>
          <Icon name="download" />
          {text.guest.download}
        </a>
      )}
    </>
  )
}

interface Sent {
  id: number
  file: File
  sent: number
  state: 'waiting' | 'sending' | 'done' | 'failed'
  problem: string
  upload: Upload | null
}

const sents = signal<Sent[]>([])

function UploadHere({ request, reopen }: { request: FileRequest; reopen: () => Promise<Opened | 'password' | 'gone'> }) {
  const [sender] = useState(() => new Sender(request, reopen))
  useEffect(() => {
    const over = (event: DragEvent) => event.preventDefault()
    const drop = async (event: DragEvent) => {
      event.preventDefault()
      if (event.dataTransfer !== null) sender.add(await foundInDrop(event.dataTransfer))
    }
    document.addEventListener('dragover', over)
    document.addEventListener('drop', drop)
    return () => {
      document.removeEventListener('dragover', over)
      document.removeEventListener('drop', drop)
    }
  }, [])
  const all = sents.value
  const isDone = all.length > 0 && all.every((one) => one.state === 'done')
  return (
    <>
      <h1>{text.guest.upload}</h1>
      <p class="quiet">{text.guest.uploadLead}</p>
      <label class="button primary choose">
        <Icon name="upload" />
        {text.uploads.choose}
        <input
          class="visually-hidden"
          type="file"
          multiple
          onChange={(event) => sender.add(foundIn(event.currentTarget.files ?? []))}
        />
      </label>
      <ul class="guest-uploads">
        {all.map((one) => (
          <li key={one.id} data-upload={one.file.name} data-state={one.state}>
            <div class="upload-name">
              <span dir="auto">{one.file.name}</span>
              <small>
                {one.problem === '' ? (
                  `${formatBytes(one.file.size)} · ${one.state === 'done' ? text.uploads.state.done : formatShare(one.sent, Math.max(1, one.file.size))}`
                ) : (
                  <span class="fault">{one.problem}</span>
                )}
              </small>
            </div>
            <Bar part={one.state === 'done' ? 1 : shareOf(one.sent, one.file.size)} label={one.file.name} />
            {one.state !== 'done' && (
              <IconButton icon="close" label={text.uploads.cancelOne(one.file.name)} onClick={() => sender.cancel(one)} />
            )}
          </li>
        ))}
      </ul>
      <p role="status">{isDone ? text.guest.thanks : ''}</p>
    </>
  )
}

let lastId = 0

/** Sends a guest's files, a few at once, with the right that the link gave. */
class Sender {
  readonly #stack: PatientStack
  #authorization: string

  constructor(
    private readonly request: FileRequest,
    reopen: () => Promise<Opened | 'password' | 'gone'>,
  ) {
    this.#authorization = request.headers.Authorization ?? ''
    this.#stack = new PatientStack({
      token: () => Promise.resolve(this.#authorization.replace(/^Bearer /, '')),
      refused: async () => {
        const opened = await reopen()
        if (typeof opened === 'object' && opened.kind === 'upload') this.#authorization = opened.headers.Authorization ?? ''
      },
    })
  }

  add(found: Found[]): void {
    const fresh = found.map(({ file }): Sent => {
      lastId += 1
      return { id: lastId, file, sent: 0, state: 'waiting', problem: '', upload: null }
    })
    sents.value = [...sents.value, ...fresh]
    this.#fill()
  }

  cancel(one: Sent): void {
    void one.upload?.abort(true).catch(() => undefined)
    sents.value = sents.value.filter((other) => other.id !== one.id)
    this.#fill()
  }

  #change(id: number, changes: Partial<Sent>): void {
    sents.value = sents.value.map((one) => (one.id === id ? { ...one, ...changes } : one))
  }

  #fill(): void {
    const free = SENDING_MAX - sents.value.filter((one) => one.state === 'sending').length
    for (const one of sents.value.filter((other) => other.state === 'waiting').slice(0, Math.max(0, free))) this.#send(one)
  }

  #send({ id, file }: Sent): void {
    const upload = new Upload(file, {
      endpoint: here(this.request.uploads_url),
      httpStack: this.#stack,
      retryDelays: RETRY_DELAYS_MS,
      storeFingerprintForResuming: false,
      metadata: { filename: file.name, filetype: file.type },
      onProgress: (sent) => this.#change(id, { sent }),
      onSuccess: () => {
        this.#change(id, { state: 'done' })
        this.#fill()
      },
      onError: (error) => {
        this.#change(id, { state: 'failed', problem: problemOf(error) })
        this.#fill()
      },
    })
    this.#change(id, { state: 'sending', upload })
    upload.start()
  }
}

function problemOf(error: Error): string {
  const body = (error as { originalResponse?: { getBody(): string } }).originalResponse?.getBody() ?? ''
  try {
    const { detail } = JSON.parse(body) as { detail?: string }
    if (detail !== undefined) return sentence(detail)
  } catch {
    // No words of the server.
  }
  return messageOf(error)
}
