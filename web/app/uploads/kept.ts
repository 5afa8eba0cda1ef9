/**
 * Files that were chosen, kept in this browser until they have arrived: a reload or a closed tab loses none of them.
 *
 * Large files are kept by name only, since a browser copies what it keeps; their bytes are asked for again.
 */

const DATABASE = 'lighterage-uploads'
const STORE = 'items'
const LEAVING_KEY = 'lighterage.arrived'
export const KEPT_BYTES_MAX = 64 * 2 ** 20 // of one file
const TOTAL_BYTES_MAX = 1024 * 2 ** 20

export interface Kept {
  id: string
  userId: string
  tenantId: string | null
  name: string
  size: number
  type: string
  modified: number
  folder: string
  visibility: string
  uploadUrl: string | null
  fingerprint: string | null
  isPaused: boolean
  file: File | null
}

let opening: Promise<IDBDatabase | null> | null = null

function open(): Promise<IDBDatabase | null> {
  opening ??= new Promise((resolve) => {
    if (!('indexedDB' in globalThis)) return resolve(null)
    const request = indexedDB.open(DATABASE, 1)
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' })
    request.onsuccess = () => resolve(request.result)
    // Private windows may have none: then nothing is kept, and everything else works.
    request.onerror = request.onblocked = () => resolve(null)
  })
  return opening
}

function done(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error('not kept'))
  })
}

let keptBytes = 0

export async function keepAll(items: readonly Kept[]): Promise<void> {
  const database = await open()
  if (database === null || items.length === 0) return
  const transaction = database.transaction(STORE, 'readwrite')
  for (const item of items) {
    const fits = item.size <= KEPT_BYTES_MAX && keptBytes + item.size <= TOTAL_BYTES_MAX
    if (fits) keptBytes += item.size
    transaction.objectStore(STORE).put(fits ? item : { ...item, file: null })
  }
  await done(transaction).catch(() => keepNames(database, items))
}

/** The disk has no room for copies: keep at least which they were. */
async function keepNames(database: IDBDatabase, items: readonly Kept[]): Promise<void> {
  const transaction = database.transaction(STORE, 'readwrite')
  for (const item of items) transaction.objectStore(STORE).put({ ...item, file: null })
  await done(transaction).catch(() => undefined)
}

/** Note what changed about an item. */
export async function note(id: string, changes: Partial<Kept>): Promise<void> {
  const database = await open()
  if (database === null) return
  const transaction = database.transaction(STORE, 'readwrite')
  const store = transaction.objectStore(STORE)
  const request = store.get(id) as IDBRequest<Kept | undefined>
  request.onsuccess = () => {
    if (request.result !== undefined) store.put({ ...request.result, ...changes })
  }
  await done(transaction).catch(() => undefined)
}

// What has arrived and is not out of the database yet: a page that is closed meanwhile must not send it again.
const leaving = new Set<string>()

function noteLeaving(): void {
  if (leaving.size === 0) localStorage.removeItem(LEAVING_KEY)
  else localStorage.setItem(LEAVING_KEY, JSON.stringify([...leaving]))
}

export async function letGo(ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  for (const id of ids) leaving.add(id)
  noteLeaving()
  const database = await open()
  if (database !== null) {
    const transaction = database.transaction(STORE, 'readwrite')
    for (const id of ids) transaction.objectStore(STORE).delete(id)
    await done(transaction).catch(() => undefined)
  }
  for (const id of ids) leaving.delete(id)
  noteLeaving()
}

export async function allKept(userId: string): Promise<Kept[]> {
  await letGo(JSON.parse(localStorage.getItem(LEAVING_KEY) ?? '[]') as string[])
  const database = await open()
  if (database === null) return []
  const request = database.transaction(STORE).objectStore(STORE).getAll() as IDBRequest<Kept[]>
  const items = await new Promise<Kept[]>((resolve) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => resolve([])
  })
  return items.filter((item) => item.userId === userId)
}
