/** What is on its way, and where files are chosen. */

import { signal } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'

import { ask, askPatiently, messageOf } from '../api'
import { returns } from '../connection'
import { Virtual } from '../files/virtual'
import { formatBytes, formatDuration, formatNumber, formatShare, formatSpeed, shareOf } from '../format'
import { graphql } from '../graphql'
import { mayUpload } from '../home'
import { UNFINISHED, type Unfinished } from '../operations'
import { session } from '../session'
import { text } from '../text'
import { Bar, confirmed, Icon, IconButton, toast, toastFault } from '../ui'
import { type Found, foundIn, foundInDrop } from './dropped'
import {
  add,
  cancel,
  cancelAll,
  clearFinished,
  type Item,
  items,
  openCount,
  pause,
  pauseAll,
  resume,
  resumeAll,
  sendAsNew,
  shownState,
  takeOver,
  ticks,
  totals,
} from './queue'

const ROW_HEIGHT = 60
const ROWS_SHOWN = 5
const VISIBILITY_KEY = 'lighterage.visibility'

const ABORT = graphql(`
  mutation Abort($input: AbortUploadInput!) {
    abortUpload(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)

/** Who may read what is uploaded next; kept, since people do the same again. */
export const visibility = signal(localStorage.getItem(VISIBILITY_KEY) ?? 'PRIVATE')
const unfinished = signal<Unfinished[]>([])

/** Ask which uploads stand unfinished on the server, from any device. */
export async function loadUnfinished(): Promise<void> {
  if (!mayUpload.value) return
  const { uploads } = await ask(UNFINISHED, {})
  unfinished.value = [...uploads]
}

/** Those that nothing on this page is sending. */
function elsewhere(): Unfinished[] {
  const here = new Set(items.map((item) => item.uploadUrl?.split('/').pop()))
  return unfinished.value.filter((upload) => !here.has(upload.id))
}

/** Open the browser's own dialog to choose files or a folder. */
export function choose(isFolder: boolean, onFound: (found: Found[]) => void = (found) => void take(found)): void {
  const input = document.createElement('input')
  input.type = 'file'
  input.multiple = true
  input.webkitdirectory = isFolder
  input.onchange = () => onFound(foundIn(input.files ?? ([] as File[])))
  input.click()
}

/** Send what was chosen or dropped; what was begun elsewhere goes on where it stands. */
export async function take(found: Found[]): Promise<void> {
  if (!mayUpload.value) return toast(text.uploads.viewer, { kind: 'error' })
  if (found.length === 0) return
  try {
    await loadUnfinished()
  } catch {
    // Without the list everything is new; nothing is lost by that.
  }
  const begun = new Map(elsewhere().map((upload) => [`${upload.size} ${upload.name}`, upload]))
  const fresh: Found[] = []
  for (const one of found) {
    const key = `${one.file.size} ${one.file.name}`
    const upload = begun.get(key)
    if (upload === undefined || upload.offset === 0) fresh.push(one)
    else {
      begun.delete(key)
      await takeOver({ url: upload.url, visibility: visibility.value }, one)
    }
  }
  await add(fresh, visibility.value.toLowerCase())
}

/** Take what is dropped anywhere on the page. */
export function DropZone() {
  const [isOver, setOver] = useState(false)
  useEffect(() => {
    let depth = 0
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') === true
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return
      event.preventDefault()
      depth += 1
      setOver(true)
    }
    const leave = (event: DragEvent) => {
      if (!hasFiles(event)) return
      depth = Math.max(0, depth - 1)
      if (depth === 0) setOver(false)
    }
    const over = (event: DragEvent) => {
      if (hasFiles(event)) event.preventDefault()
    }
    const drop = async (event: DragEvent) => {
      if (event.dataTransfer === null || !hasFiles(event)) return
      event.preventDefault()
      depth = 0
      setOver(false)
      try {
        await take(await foundInDrop(event.dataTransfer))
      } catch (error) {
        toastFault(error)
      }
    }
    document.addEventListener('dragenter', enter)
    document.addEventListener('dragleave', leave)
    document.addEventListener('dragover', over)
    document.addEventListener('drop', drop)
    return () => {
      document.removeEventListener('dragenter', enter)
      document.removeEventListener('dragleave', leave)
      document.removeEventListener('dragover', over)
      document.removeEventListener('drop', drop)
    }
  }, [])
  if (!isOver) return null
  return (
    <div class="drop-zone" aria-hidden="true">
      <Icon name="upload" />
      <strong>{text.uploads.dropHere}</strong>
    </div>
  )
}

export function UploadPanel() {
  const [isHidden, setHidden] = useState(false)
  useEffect(() => {
    void loadUnfinished().catch(() => undefined)
    return returns.subscribe((count) => {
      if (count > 0) void loadUnfinished().catch(() => undefined)
    })
  }, [session.value?.userId, session.value?.tenantId, mayUpload.value])
  if (!mayUpload.value) return null
  follow()
  const others = elsewhere()
  return (
    <section class="uploads" aria-label={text.uploads.title}>
      <div class="upload-start">
        <div class="upload-words">
          <Icon name="upload" />
          <span>{text.uploads.drop}</span>
        </div>
        <div class="upload-choices">
          <label class="inline">
            <span>{text.visibility.forNew}</span>
            <select
              value={visibility.value}
              onChange={(event) => {
                visibility.value = event.currentTarget.value
                localStorage.setItem(VISIBILITY_KEY, visibility.value)
              }}
            >
              {(['PRIVATE', 'TENANT', 'PUBLIC'] as const).map((value) => (
                <option key={value} value={value}>
                  {text.visibility[value]}
                </option>
              ))}
            </select>
          </label>
          <button type="button" onClick={() => choose(true)}>
            <Icon name="folder" />
            {text.uploads.folder}
          </button>
          <button type="button" class="primary" onClick={() => choose(false)}>
            {text.uploads.choose}
          </button>
        </div>
      </div>
      {items.length > 0 && <Summary isHidden={isHidden} onHide={() => setHidden(!isHidden)} />}
      {items.length > 0 && !isHidden && <Items />}
      {others.length > 0 && <Elsewhere uploads={others} />}
    </section>
  )
}

function Summary({ isHidden, onHide }: { isHidden: boolean; onHide: () => void }) {
  follow()
  const now = performance.now()
  const { done, all, sent, size, rate } = totals(now)
  const isOpen = openCount.value > 0
  const hasPaused = items.some((item) => item.state === 'paused')
  const left = isOpen && rate > 0 ? text.uploads.left(formatDuration((size - sent) / rate)) : ''
  return (
    <div class="upload-summary">
      <Bar part={shareOf(sent, size)} label={text.uploads.title} />
      <div class="upload-numbers">
        <strong>{text.uploads.summary(formatNumber(done), formatNumber(all))}</strong>
        <span>{text.uploads.of(formatBytes(sent), formatBytes(size))}</span>
        {isOpen && rate > 0 && <span>{formatSpeed(rate)}</span>}
        {left !== '' && <span>{left}</span>}
        <span class="spacer" />
        {isOpen && (
          <button type="button" class="quiet" onClick={pauseAll}>
            {text.uploads.pauseAll}
          </button>
        )}
        {hasPaused && (
          <button type="button" class="quiet" onClick={resumeAll}>
            {text.uploads.resumeAll}
          </button>
        )}
        {all - done > 1 && (
          <button type="button" class="quiet" onClick={() => askToCancel(all - done)}>
            {text.uploads.cancelAll}
          </button>
        )}
        {done > 0 && (
          <button type="button" class="quiet" onClick={clearFinished}>
            {text.uploads.clear}
          </button>
        )}
        <button type="button" class="quiet" aria-expanded={!isHidden} onClick={onHide}>
          {isHidden ? text.uploads.show : text.uploads.hide}
        </button>
      </div>
    </div>
  )
}

async function askToCancel(count: number): Promise<void> {
  if (await confirmed(text.uploads.cancelAllAsk(formatNumber(count), count === 1), text.uploads.cancelAll)) cancelAll()
}

/** Have whoever calls this shown anew whenever an item moved: items themselves tell nobody. */
function follow(): void {
  void ticks.value
}

const RANK = { failed: 0, changed: 0, missing: 0, sending: 1, paused: 2, waiting: 3, done: 4 } as const

/** What wants somebody comes first, then what moves; what is done sinks to the end. */
function ordered(): Item[] {
  return [...items].sort((one, other) => RANK[one.state] - RANK[other.state])
}

function Items() {
  follow()
  const shown = ordered()
  return (
    <div class="upload-items" style={{ blockSize: `${Math.min(shown.length, ROWS_SHOWN) * ROW_HEIGHT}px` }}>
      <Virtual count={shown.length} rowHeight={ROW_HEIGHT} label={text.uploads.title} role="list">
        {(from, to) => shown.slice(from, to).map((item) => <UploadRow key={item.id} item={item} />)}
      </Virtual>
    </div>
  )
}

function UploadRow({ item }: { item: Item }) {
  follow()
  const { name, size, sent } = item
  const state = shownState(item)
  const isMoving = state === 'sending'
  return (
    <div class={`upload-row ${state}`} role="listitem" data-upload={name} data-state={state}>
      <div class="upload-name">
        <span dir="auto" title={item.folder === '' ? name : `${item.folder}/${name}`}>
          {name}
        </span>
        <small>{item.problem !== '' ? <span class="fault">{item.problem}</span> : <Progress item={item} />}</small>
      </div>
      <div class="upload-bar">
        <Bar part={state === 'done' ? 1 : shareOf(sent, size)} label={name} isStopped={!isMoving && state !== 'done'} />
        <small>{state === 'done' ? text.uploads.state.done : formatShare(sent, Math.max(size, 1))}</small>
      </div>
      <div class="row-actions">
        {state === 'changed' && (
          <button type="button" class="quiet" onClick={() => sendAsNew(item)}>
            {text.uploads.sendNew}
          </button>
        )}
        {state === 'missing' && (
          <button type="button" class="quiet" onClick={() => choose(false)}>
            {text.uploads.chooseAgain}
          </button>
        )}
        {['sending', 'waiting', 'away', 'login'].includes(state) && (
          <IconButton icon="pause" label={text.uploads.pauseOne(name)} onClick={() => pause(item)} />
        )}
        {state === 'paused' && <IconButton icon="play" label={text.uploads.resumeOne(name)} onClick={() => resume(item)} />}
        {state === 'failed' && <IconButton icon="retry" label={text.uploads.retryOne(name)} onClick={() => resume(item)} />}
        {state === 'done' ? (
          <Icon name="check" />
        ) : (
          <IconButton
            icon="close"
            label={state === 'changed' ? text.uploads.asideOne(name) : text.uploads.cancelOne(name)}
            onClick={() => cancel(item)}
          />
        )}
      </div>
    </div>
  )
}

function Progress({ item }: { item: Item }) {
  follow()
  const state = shownState(item)
  if (state === 'missing') return <>{text.uploads.again}</>
  if (state === 'done') return <>{formatBytes(item.size)}</>
  const amount = text.uploads.of(formatBytes(item.sent), formatBytes(item.size))
  if (state !== 'sending') return <>{`${text.uploads.state[state as 'waiting']} · ${amount}`}</>
  const now = performance.now()
  const rate = item.speed.perSecond(now)
  if (rate === null || rate <= 0) return <>{amount}</>
  return <>{`${amount} · ${formatSpeed(rate)} · ${text.uploads.left(formatDuration((item.size - item.sent) / rate))}`}</>
}

function Elsewhere({ uploads }: { uploads: Unfinished[] }) {
  function goOn(upload: Unfinished) {
    choose(false, async (found) => {
      const same = found.find(({ file }) => file.name === upload.name && file.size === upload.size)
      if (same === undefined) return toast(text.uploads.noFile, { kind: 'error' })
      await take([same])
    })
  }
  async function drop(upload: Unfinished) {
    try {
      await askPatiently(ABORT, { input: { uploadId: upload.id } })
      unfinished.value = unfinished.value.filter((one) => one.id !== upload.id)
    } catch (error) {
      toast(messageOf(error), { kind: 'error' })
    }
  }
  return (
    <div class="elsewhere">
      <h2>{text.uploads.elsewhere}</h2>
      <p>{text.uploads.elsewhereLead}</p>
      <ul>
        {uploads.map((upload) => (
          <li key={upload.id} class="upload-row" data-unfinished={upload.name}>
            <div class="upload-name">
              <span dir="auto">{upload.name}</span>
              <small>{text.uploads.of(formatBytes(upload.offset), formatBytes(upload.size ?? 0))}</small>
            </div>
            <div class="upload-bar">
              <Bar part={shareOf(upload.offset, upload.size ?? 0)} label={upload.name} isStopped />
              <small>{formatShare(upload.offset, Math.max(upload.size ?? 0, 1))}</small>
            </div>
            <div class="row-actions">
              <button type="button" class="quiet" onClick={() => goOn(upload)}>
                {text.uploads.chooseAgain}
              </button>
              <IconButton icon="close" label={text.uploads.drop1(upload.name)} onClick={() => drop(upload)} />
            </div>
          </li>
        ))}
      </ul>
    </div>
  )
}
