/** The list of files: as far as it was scrolled to, and kept as it is on the server by what is watched. */

import { computed, signal } from '@preact/signals'

import { accepted, ask, askPatiently, messageOf, watch } from '../api'
import { returns } from '../connection'
import type { VariablesOf } from '../graphql'
import { loadHome } from '../home'
import { COUNT, DELETE, FILE_EVENTS, type FileRow, FILES, nameOf, RESTORE } from '../operations'
import { session } from '../session'
import { formatNumber } from '../format'
import { text } from '../text'
import { toast, toastFault } from '../ui'

const PAGE_SIZE = 100
const EACH_MAX = 100 // files in one mutation
const TOASTS_MS = 1500 // arrivals within so long are told together
const COUNT_DELAY_MS = 400

type Filter = NonNullable<VariablesOf<typeof FILES>['filter']>
type Order = NonNullable<VariablesOf<typeof FILES>['orderBy']>

export interface View {
  deleted: boolean
  search: string
  type: string
  visibility: string
  field: Order['field']
  direction: 'ASC' | 'DESC'
}

const FIRST_VIEW: View = {
  ...{ deleted: false, search: '', type: 'all', visibility: '' },
  ...{ field: 'CREATED_AT', direction: 'DESC' },
}
const TYPES: Record<string, Filter['contentType']> = {
  image: { startsWith: 'image/' },
  video: { startsWith: 'video/' },
  audio: { startsWith: 'audio/' },
  text: { startsWith: 'text/' },
  csv: { eq: 'text/csv' },
  pdf: { eq: 'application/pdf' },
}

export const view = signal<View>(FIRST_VIEW)
export const rows = signal<FileRow[]>([])
export const total = signal<number | null>(null)
export const listFault = signal('')
export const isLoading = signal(false)
export const hasMore = signal(false)
export const selected = signal<ReadonlySet<string>>(new Set())
/** There are files that belong before what is shown, which is not moved under one's eyes. */
export const newer = signal(0)
export const isFiltered = computed(() => {
  const { search, type, visibility } = view.value
  return search !== '' || type !== 'all' || visibility !== ''
})

let endCursor: string | null = null
let generation = 0 // answers to what is no longer asked are dropped
let lastEvent: string | null = null
let counting: ReturnType<typeof setTimeout> | null = null

function filterOf({ deleted, search, type, visibility }: View): Filter {
  return {
    deleted,
    ...(search === '' ? {} : { search }),
    ...(TYPES[type] === undefined ? {} : { contentType: TYPES[type] }),
    ...(visibility === '' ? {} : { visibility: [visibility as 'PRIVATE'] }),
  }
}

/** Show something else. */
export function look(changes: Partial<View>): void {
  view.value = { ...view.value, ...changes }
  selected.value = new Set()
  rows.value = []
  total.value = null
  void reload()
}

export async function reload(): Promise<void> {
  generation += 1
  endCursor = null
  hasMore.value = true
  newer.value = 0
  isLoading.value = false
  await loadMore(true)
  recount()
}

export async function loadMore(isFirst = false): Promise<void> {
  if (isLoading.value || !hasMore.value || session.value === null) return
  const asked = generation
  isLoading.value = true
  try {
    const { field, direction } = view.value
    const page = { first: PAGE_SIZE, after: isFirst ? null : endCursor }
    const { files } = await ask(FILES, { filter: filterOf(view.value), orderBy: { field, direction }, ...page })
    if (asked !== generation) return
    const known = new Set(isFirst ? [] : rows.value.map((row) => row.id))
    const fresh = files.nodes.filter((row) => !known.has(row.id))
    rows.value = isFirst ? fresh : [...rows.value, ...fresh]
    endCursor = files.pageInfo.endCursor
    hasMore.value = files.pageInfo.hasNextPage
    listFault.value = ''
  } catch (error) {
    if (asked === generation) {
      listFault.value = messageOf(error)
      hasMore.value = false
    }
  } finally {
    if (asked === generation) isLoading.value = false
  }
}

function recount(): void {
  if (counting !== null) clearTimeout(counting)
  counting = setTimeout(async () => {
    const asked = generation
    try {
      const { files } = await ask(COUNT, { filter: filterOf(view.value) })
      if (asked === generation) total.value = files.totalCount
    } catch {
      // The list itself tells of faults; without the number it is as good.
    }
  }, COUNT_DELAY_MS)
}

// ---- what is watched

export function watchFiles(): () => void {
  const stopWatching = watch(
    FILE_EVENTS,
    () => ({ after: lastEvent }),
    ({ fileEvents }) => onEvent(fileEvents),
    (problem) => {
      if (problem.code !== 'cursor_too_old') return
      lastEvent = null
      void reload()
    },
  )
  const stopReturns = returns.subscribe((count) => {
    if (count > 0) void Promise.all([reload(), loadHome().catch(() => undefined)])
  })
  return () => {
    stopWatching()
    stopReturns()
    lastEvent = null
    rows.value = []
    view.value = FIRST_VIEW
    selected.value = new Set()
  }
}

type Event = NonNullable<ReturnType<typeof eventOf>>
const eventOf = (data: { fileEvents: unknown }) =>
  data.fileEvents as {
    cursor: string
    action: string
    fileId: string
    file: FileRow | null
    actor: { id: string; username: string; email: string | null; name: string | null } | null
  }

export const lastChange = signal<{ fileId: string; count: number }>({ fileId: '', count: 0 })

function onEvent(event: Event): void {
  lastEvent = event.cursor
  lastChange.value = { fileId: event.fileId, count: lastChange.value.count + 1 }
  const isHere = event.file !== null && (event.file.deletedAt !== null) === view.value.deleted
  const place = rows.value.findIndex((row) => row.id === event.fileId)
  if (place >= 0) {
    if (isHere && event.file !== null) rows.value = rows.value.with(place, event.file)
    else rows.value = rows.value.toSpliced(place, 1)
  } else if (isHere && event.file !== null && (event.action === 'CREATED' || event.action === 'RESTORED')) {
    insert(event.file)
  }
  if (event.action === 'CREATED' && event.file !== null && event.actor?.id !== session.value?.userId) {
    tellArrival(event.file.name, event.actor === null ? null : nameOf(event.actor))
  }
  if (event.action !== 'UPDATED') recount()
  refreshUsage()
}

function insert(file: FileRow): void {
  const { field, direction } = view.value
  const isNewestFirst = field === 'CREATED_AT' && direction === 'DESC'
  if (isNewestFirst && !isFiltered.value && isAtTop.value) {
    rows.value = [file, ...rows.value]
    if (total.value !== null) total.value += 1
  } else newer.value += 1
}

/** Whether the list stands at its beginning; only there something may move. */
export const isAtTop = signal(true)

let usage: ReturnType<typeof setTimeout> | null = null
function refreshUsage(): void {
  usage ??= setTimeout(() => {
    usage = null
    void loadHome().catch(() => undefined)
  }, 2000)
}

let arrivals = 0
let arrivalsTold: ReturnType<typeof setTimeout> | null = null

function tellArrival(name: string, who: string | null): void {
  arrivals += 1
  // The first is told at once; what comes close behind it, together.
  if (arrivals === 1) toast(who === null ? text.files.arrived(name) : text.files.arrivedFrom(name, who))
  arrivalsTold ??= setTimeout(() => {
    if (arrivals > 1) toast(text.files.arrivedMany(formatNumber(arrivals)))
    arrivals = 0
    arrivalsTold = null
  }, TOASTS_MS)
}

// ---- what people do with files

async function inPieces(ids: readonly string[], run: (some: string[]) => Promise<string[]>): Promise<string[]> {
  const done: string[] = []
  for (let at = 0; at < ids.length; at += EACH_MAX) done.push(...(await run(ids.slice(at, at + EACH_MAX))))
  return done
}

function forget(ids: readonly string[]): void {
  const gone = new Set(ids)
  rows.value = rows.value.filter((row) => !gone.has(row.id))
  selected.value = new Set([...selected.value].filter((id) => !gone.has(id)))
  recount()
}

export async function deleteFiles(ids: readonly string[]): Promise<void> {
  try {
    const done = await inPieces(ids, async (fileIds) => {
      const payload = (await ask(DELETE, { input: { fileIds } })).deleteFiles
      const files = payload?.files ?? []
      if (files.length === 0) accepted(payload)
      else if (payload?.userErrors[0] !== undefined) toast(payload.userErrors[0].message, { kind: 'error' })
      return files.map((file) => file.id)
    })
    forget(done)
    const undo = { label: text.files.undo, run: () => void restoreFiles(done) }
    toast(text.files.deleted(formatNumber(done.length), done.length === 1), { action: undo })
  } catch (error) {
    toastFault(error)
  }
}

export async function restoreFiles(ids: readonly string[]): Promise<void> {
  try {
    const done = await inPieces(ids, async (fileIds) => {
      const payload = accepted((await askPatiently(RESTORE, { input: { fileIds } })).restoreFiles)
      return payload.files.map((file) => file.id)
    })
    if (view.value.deleted) forget(done)
    toast(text.files.restored(formatNumber(done.length), done.length === 1))
  } catch (error) {
    toastFault(error)
  }
}
