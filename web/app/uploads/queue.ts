/**
 * What is on its way: every file that was chosen, in its order, until it has arrived.
 *
 * Uppy sends a few at a time; the others wait here, so that five thousand cost no more than twenty. What the page shows
 * is read from the items whenever `ticks` moves, a few times a second at most.
 */

import { signal } from '@preact/signals'
import Uppy from '@uppy/core'
import Tus from '@uppy/tus'

import { messageOf, sentence, token, tokenRefused } from '../api'
import { connection } from '../connection'
import { mustLogIn, session } from '../session'
import { text } from '../text'
import type { Found } from './dropped'
import { fingerprintOf } from './fingerprint'
import { allKept, type Kept, KEPT_BYTES_MAX, keepAll, letGo, note } from './kept'
import { Speed } from './speed'
import { PatientStack } from './stack'

const ENDPOINT = '/files/'
const SENDING_MAX = 4 // browsers open six connections to one server; the page needs some itself
const WINDOW = 16
const WHOLE_BYTES_MAX = 2 ** 20 // smaller files go in one request, and from the beginning if that breaks
const TICK_MS = 200
const RETRY_DELAYS_MS = [100, 500, 1000, ...Array<number>(5000).fill(2000)]
const FAULTS_MAX = 5 // of the server's own, before it is told

export type State = 'waiting' | 'sending' | 'paused' | 'done' | 'failed' | 'changed' | 'missing'

export interface Item {
  readonly id: string
  readonly name: string
  readonly size: number
  readonly type: string
  readonly modified: number
  readonly folder: string
  readonly visibility: string
  readonly speed: Speed
  file: File | null
  state: State
  sent: number
  problem: string
  uploadUrl: string | null
  fingerprint: string | null
  uppyId: string | null
  faults: number
}

interface Meta extends Record<string, unknown> {
  item: string
  relativePath: string
}

export const items: Item[] = []
export const ticks = signal(0)
/** Items that are under way, waiting ones included. */
export const openCount = signal(0)
export const finished = signal(0)

const byId = new Map<string, Item>()
const byUppy = new Map<string, Item>()
const onArrival = new Set<(item: Item) => void>()
let tick: ReturnType<typeof setTimeout> | null = null
let begun = 0 // how many of `items` were looked at by `pump`; those before it are not waiting

const uppy = new Uppy<Meta, Record<string, never>>({
  autoProceed: true,
  restrictions: {},
  onBeforeFileAdded: () => true,
}).use(Tus, {
  endpoint: ENDPOINT,
  limit: SENDING_MAX,
  retryDelays: RETRY_DELAYS_MS,
  // What is known of earlier uploads is kept here, with what tells whether the file is still the same.
  storeFingerprintForResuming: false,
  httpStack: new PatientStack({ token, refused: tokenRefused }),
  onShouldRetry: (error, _attempt) => {
    const item = [...byUppy.values()].find((one) => one.uppyId !== null && error.originalRequest?.getURL() === one.uploadUrl)
    return shouldRetry(error.originalResponse?.getStatus() ?? 0, item)
  },
})

function shouldRetry(status: number, item: Item | undefined): boolean {
  if (status === 0 || status === 408 || status === 409 || status === 423 || status === 429) return true
  if (status === 502 || status === 503 || status === 504) return true
  if (status === 500 || status === 460) return item === undefined || (item.faults += 1) < FAULTS_MAX
  return false
}

uppy.on('upload-progress', (file, progress) => {
  const item = file && byUppy.get(file.id)
  if (!item || item.state === 'paused') return
  item.sent = progress.bytesUploaded
  item.speed.note(item.sent, performance.now())
  const url = file.tus?.uploadUrl
  if (url && url !== item.uploadUrl) {
    item.uploadUrl = url
    void note(item.id, { uploadUrl: url, fingerprint: item.fingerprint })
  }
  touch()
})

uppy.on('upload-success', (file) => {
  const item = file && byUppy.get(file.id)
  if (!item) return
  item.state = 'done'
  item.sent = item.size
  leave(item)
  void letGo([item.id])
  finished.value += 1
  for (const listener of onArrival) listener(item)
})

uppy.on('upload-error', (file, error, response) => {
  const item = file && byUppy.get(file.id)
  if (!item) return
  item.state = 'failed'
  item.problem = problemOf(error, response?.body?.xhr)
  leave(item)
})

/** Say what the server said; it names the rule that was broken. */
function problemOf(error: { message: string; originalResponse?: unknown }, xhr: XMLHttpRequest | undefined): string {
  try {
    const problem = JSON.parse(xhr?.responseText ?? '') as { detail?: string; title?: string; hint?: string }
    const words = problem.detail ?? problem.title
    if (words !== undefined) return [sentence(words), problem.hint && sentence(problem.hint)].filter(Boolean).join(' ')
  } catch {
    // No words of the server.
  }
  if (xhr !== undefined && xhr.status !== 0) return text.errors.http(String(xhr.status))
  return isUnreadable(error) ? text.uploads.unreadable : messageOf(error)
}

function isUnreadable(error: { message: string }): boolean {
  return /could not be read|NotReadable|NotFound|permission/i.test(error.message)
}

/** Give the place in the window to another. */
function leave(item: Item): void {
  const id = item.uppyId
  item.uppyId = null
  item.file = item.state === 'done' ? null : item.file
  if (id !== null) {
    byUppy.delete(id)
    // Uppy is still telling others of this event.
    queueMicrotask(() => uppy.removeFile(id))
  }
  count()
  void pump()
}

function count(): void {
  openCount.value = items.filter((item) => item.state === 'waiting' || item.state === 'sending').length
  touch()
}

function touch(): void {
  tick ??= setTimeout(() => {
    tick = null
    ticks.value += 1
  }, TICK_MS)
}

// ---- what people do

export function whenArrived(listener: (item: Item) => void): () => void {
  onArrival.add(listener)
  return () => onArrival.delete(listener)
}

/** Take files that were chosen; an unfinished one of this page goes on where it stands. */
export async function add(found: readonly Found[], visibility: string): Promise<void> {
  const fresh: Item[] = []
  for (const { file, folder } of found) {
    const missing = items.find((item) => item.state === 'missing' && item.name === file.name && item.size === file.size)
    if (missing !== undefined) {
      missing.file = file
      missing.state = 'waiting'
      begun = Math.min(begun, items.indexOf(missing))
      continue
    }
    fresh.push(itemOf({ id: crypto.randomUUID?.() ?? randomId(), file, folder, visibility }))
  }
  for (const item of fresh) enlist(item)
  count()
  await keepAll(fresh.map(keptOf)).catch(() => undefined)
  void pump()
}

function itemOf(from: { id: string; file: File; folder: string; visibility: string }): Item {
  const { id, file, folder, visibility } = from
  const { name, size, type, lastModified: modified } = file
  return {
    ...{ id, name, size, type, modified, folder, visibility, file },
    ...{ state: 'waiting' as State, sent: 0, problem: '', uploadUrl: null, fingerprint: null, uppyId: null, faults: 0 },
    speed: new Speed(),
  }
}

function enlist(item: Item): void {
  items.push(item)
  byId.set(item.id, item)
}

function randomId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

function keptOf(item: Item): Kept {
  const { id, name, size, type, modified, folder, visibility, uploadUrl, fingerprint, file } = item
  const owner = { userId: session.value?.userId ?? '', tenantId: session.value?.tenantId ?? null }
  return { ...owner, id, name, size, type, modified, folder, visibility, uploadUrl, fingerprint, file, isPaused: false }
}

/** Go on with what this browser kept for this user from before the page was loaded. */
export async function restore(): Promise<void> {
  const owner = session.value
  if (owner === null) return
  for (const kept of await allKept(owner.userId)) {
    if (byId.has(kept.id) || kept.tenantId !== owner.tenantId) continue
    const { id, name, size, type, modified, folder, visibility, uploadUrl, fingerprint, file } = kept
    const state: State = file === null ? 'missing' : kept.isPaused ? 'paused' : 'waiting'
    enlist({
      ...{ id, name, size, type, modified, folder, visibility, uploadUrl, fingerprint, file, state },
      ...{ sent: 0, problem: '', uppyId: null, faults: 0, speed: new Speed() },
    })
  }
  count()
  void pump()
}

/** Drop everything that is shown, since somebody else looks now; what was kept stays for whose it is. */
export function reset(): void {
  uppy.cancelAll()
  for (const item of items) if (item.uppyId !== null) byUppy.delete(item.uppyId)
  items.length = 0
  byId.clear()
  begun = 0
  count()
}

let isPumping = false

/** Hand waiting items to Uppy while there is room. */
async function pump(): Promise<void> {
  if (isPumping) return
  isPumping = true
  try {
    while (byUppy.size < WINDOW && begun < items.length) {
      const item = items[begun]
      begun += 1
      if (item !== undefined && item.state === 'waiting' && item.uppyId === null) await start(item)
    }
  } finally {
    isPumping = false
  }
}

async function start(item: Item): Promise<void> {
  const { file } = item
  if (file === null) return
  try {
    if (item.size > WHOLE_BYTES_MAX) {
      const fingerprint = await fingerprintOf(file)
      if (item.fingerprint !== null && item.fingerprint !== fingerprint) {
        item.state = 'changed'
        item.problem = text.uploads.changed
        return count()
      }
      item.fingerprint = fingerprint
    }
  } catch {
    item.state = 'failed'
    item.problem = text.uploads.unreadable
    return count()
  }
  if (item.state !== 'waiting') return // somebody was faster
  item.state = 'sending'
  item.speed.reset()
  const meta: Record<string, string> = {
    ...{ filename: item.name, filetype: item.type, visibility: item.visibility },
    ...(item.fingerprint === null ? {} : { fingerprint: item.fingerprint }),
    ...(item.folder === '' ? {} : { folder: item.folder }),
  }
  const tus = {
    allowedMetaFields: Object.keys(meta),
    uploadUrl: item.uploadUrl,
    uploadDataDuringCreation: item.uploadUrl === null && item.size <= WHOLE_BYTES_MAX,
  }
  // The id in the path keeps apart two files of one name; Uppy would take them for one.
  const described = { name: item.name, type: item.type, data: file, meta: { ...meta, item: item.id, relativePath: item.id } }
  const id = uppy.addFile(described)
  // Uppy begins in a later turn; until then a file's own settings can be laid beside it.
  uppy.setFileState(id, { tus })
  item.uppyId = id
  byUppy.set(id, item)
  touch()
}

export function pause(item: Item): void {
  if (item.state !== 'sending' && item.state !== 'waiting') return
  const wasSending = item.state === 'sending'
  item.state = 'paused'
  item.speed.reset()
  if (wasSending) withdraw(item)
  void note(item.id, { isPaused: true })
  count()
  void pump()
}

export function resume(item: Item): void {
  if (item.state !== 'paused' && item.state !== 'failed') return
  item.state = item.file === null ? 'missing' : 'waiting'
  item.problem = ''
  item.faults = 0
  begun = Math.min(begun, items.indexOf(item))
  void note(item.id, { isPaused: false })
  count()
  void pump()
}

/** Send a file as a new upload, where it is not the one that was begun. */
export function sendAsNew(item: Item): void {
  item.uploadUrl = null
  item.fingerprint = null
  item.sent = 0
  item.state = 'paused'
  void note(item.id, { uploadUrl: null, fingerprint: null })
  resume(item)
}

export function cancel(item: Item): void {
  const place = items.indexOf(item)
  if (place < 0) return
  // One that is not the file an upload was begun with does not end that upload.
  const isOpen = item.state !== 'done' && item.state !== 'changed'
  const url = item.uploadUrl
  items.splice(place, 1)
  byId.delete(item.id)
  if (place < begun) begun -= 1
  item.state = 'done'
  withdraw(item)
  void letGo([item.id])
  if (isOpen && url !== null) void drop(url)
  count()
  void pump()
}

export function cancelAll(): void {
  const open = items.filter((item) => item.state !== 'done')
  // Those that wait go first: none of them shall begin in a place that another left.
  for (const item of open.filter((one) => one.uppyId === null)) cancel(item)
  for (const item of open) cancel(item)
  clearFinished()
}

async function drop(url: string): Promise<void> {
  const current = await token()
  const headers = { 'tus-resumable': '1.0.0', ...(current === null ? {} : { authorization: `Bearer ${current}` }) }
  await fetch(url, { method: 'DELETE', headers }).catch(() => undefined)
}

/** Take an item back from Uppy without ending it on the server. */
function withdraw(item: Item): void {
  const id = item.uppyId
  item.uppyId = null
  if (id === null) return
  byUppy.delete(id)
  const state = uppy.getFile(id)
  if (state === undefined) return
  uppy.setFileState(id, { isPaused: true })
  // Removing a file would end its upload on the server; aborted first, it has no request left that could.
  uppy.emit('upload-pause', state, true)
  detach(id)
}

function detach(id: string): void {
  const tus = uppy.getPlugin<Tus<Meta, Record<string, never>>>('Tus')
  if (tus !== undefined) {
    tus.uploaderEvents[id]?.remove()
    tus.uploaderEvents[id] = null
    tus.uploaders[id] = null
  }
  uppy.removeFile(id)
}

export function pauseAll(): void {
  for (const item of [...items]) pause(item)
}

export function resumeAll(): void {
  for (const item of [...items]) if (item.state === 'paused') resume(item)
}

export function clearFinished(): void {
  for (let place = items.length - 1; place >= 0; place -= 1) {
    const item = items[place]
    if (item?.state !== 'done') continue
    items.splice(place, 1)
    byId.delete(item.id)
    if (place < begun) begun -= 1
  }
  finished.value = 0
  count()
}

/** Take over an upload that was begun elsewhere, with the file it was begun with. */
export async function takeOver(upload: { url: string; visibility: string }, found: Found): Promise<void> {
  const item = itemOf({ id: randomId(), ...found, visibility: upload.visibility })
  item.uploadUrl = new URL(upload.url, location.href).pathname
  enlist(item)
  item.fingerprint = await declaredFingerprint(item.uploadUrl)
  count()
  await keepAll([keptOf(item)]).catch(() => undefined)
  void pump()
}

/** Ask the server which file an upload was begun with. */
async function declaredFingerprint(url: string): Promise<string | null> {
  const current = await token()
  const headers = { 'tus-resumable': '1.0.0', ...(current === null ? {} : { authorization: `Bearer ${current}` }) }
  const answer = await fetch(url, { method: 'HEAD', headers })
  const entry = (answer.headers.get('upload-metadata') ?? '').split(',').find((pair) => pair.startsWith('fingerprint '))
  return entry === undefined ? null : atob(entry.slice('fingerprint '.length))
}

/** What a row says of an item: its own state, or what holds it up. */
export function shownState(item: Item): State | 'away' | 'login' {
  if (item.state !== 'sending' && item.state !== 'waiting') return item.state
  if (mustLogIn.value) return 'login'
  return connection.value === 'ok' ? item.state : 'away'
}

export { KEPT_BYTES_MAX }

/** The whole of what is shown: bytes, speed and time left. */
export function totals(now: number): { done: number; all: number; sent: number; size: number; rate: number } {
  let done = 0
  let sent = 0
  let size = 0
  let rate = 0
  for (const item of items) {
    if (item.state === 'done') done += 1
    sent += item.state === 'done' ? item.size : item.sent
    size += item.size
    if (item.state === 'sending') rate += item.speed.perSecond(now) ?? 0
  }
  return { done, all: items.length, sent, size, rate }
}

// A page that is left while something is under way says so, where the file could not be kept.
addEventListener('beforeunload', (event) => {
  if (items.some((item) => item.state === 'sending' && item.size > KEPT_BYTES_MAX)) event.preventDefault()
})
