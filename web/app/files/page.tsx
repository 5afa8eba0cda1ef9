/** The list of files, with what is on its way above it. */

import { useEffect, useRef, useState } from 'preact/hooks'

import { formatBytes, formatMoment, formatNumber, formatWhen } from '../format'
import { isAdmin, mayUpload } from '../home'
import { type FileRow, nameOf, noted } from '../operations'
import { go, hrefOf } from '../route'
import { session } from '../session'
import { text } from '../text'
import { Icon, IconButton, type IconName } from '../ui'
import { choose, UploadPanel } from '../uploads/panel'
import {
  deleteFiles,
  hasMore,
  isAtTop,
  isFiltered,
  isLoading,
  listFault,
  loadMore,
  look,
  newer,
  reload,
  restoreFiles,
  rows,
  selected,
  total,
  view,
  type View,
} from './store'
import { Virtual } from './virtual'

const ROW_HEIGHT = 56
const AHEAD_ROWS = 60 // how long before the end the next page is asked for
const SEARCH_DELAY_MS = 200

export function FilesPage({ isTrash }: { isTrash: boolean }) {
  useEffect(() => {
    if (view.value.deleted !== isTrash || rows.value.length === 0) look({ deleted: isTrash })
  }, [isTrash])
  return (
    <div class="files-page">
      <h1 class={isTrash ? '' : 'visually-hidden'}>{isTrash ? text.files.trashTitle : text.files.title}</h1>
      {!isTrash && <UploadPanel />}
      <Toolbar />
      {selected.value.size > 0 ? <SelectionBar /> : <ListHead />}
      <List isTrash={isTrash} />
    </div>
  )
}

function Toolbar() {
  const { type, visibility, field, direction, search } = view.value
  const [words, setWords] = useState(search)
  const later = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => setWords(search), [search])
  function type_(value: string) {
    setWords(value)
    clearTimeout(later.current)
    later.current = setTimeout(() => look({ search: value.trim() }), SEARCH_DELAY_MS)
  }
  return (
    <div class="toolbar" role="search">
      <label class="search">
        <Icon name="search" />
        <input
          type="search"
          value={words}
          placeholder={text.files.search}
          aria-label={text.files.searchLabel}
          onInput={(event) => type_(event.currentTarget.value)}
        />
      </label>
      <select aria-label={text.files.type} value={type} onChange={(event) => look({ type: event.currentTarget.value })}>
        {Object.entries(text.files.types).map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
      <select
        aria-label={text.visibility.label}
        value={visibility}
        onChange={(event) => look({ visibility: event.currentTarget.value })}
      >
        <option value="">{text.files.visibilityAll}</option>
        {(['PRIVATE', 'TENANT', 'LINK', 'PUBLIC'] as const).map((value) => (
          <option key={value} value={value}>
            {text.visibility[value]}
          </option>
        ))}
      </select>
      <select
        aria-label={text.files.sort}
        value={`${field} ${direction}`}
        onChange={(event) => {
          const [by, way] = event.currentTarget.value.split(' ') as [View['field'], View['direction']]
          look({ field: by, direction: way })
        }}
      >
        {Object.entries(text.files.orders).map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
      <span class="count" aria-live="polite">
        {total.value !== null && text.files.count(formatNumber(total.value), total.value === 1)}
      </span>
    </div>
  )
}

function ListHead() {
  if (rows.value.length === 0) return null
  const columns = [
    ['NAME', text.files.name],
    ['SIZE', text.files.size],
    ['CREATED_AT', text.files.added],
  ] as const
  return (
    <div class="list-head file-row">
      <SelectAll />
      {columns.map(([field, label]) => (
        <SortButton key={field} field={field} label={label} />
      ))}
      <span class="by">{text.files.by}</span>
      <span />
    </div>
  )
}

function SelectAll() {
  const all = rows.value.length
  const some = selected.value.size
  const box = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (box.current !== null) box.current.indeterminate = some > 0 && some < all
  }, [some, all])
  return (
    <label class="tick">
      <input
        ref={box}
        type="checkbox"
        aria-label={text.files.selectAll}
        checked={all > 0 && some === all}
        onChange={() => (selected.value = some === all ? new Set() : new Set(rows.value.map((row) => row.id)))}
      />
    </label>
  )
}

function SortButton({ field, label }: { field: 'NAME' | 'SIZE' | 'CREATED_AT'; label: string }) {
  const { field: current, direction } = view.value
  const isCurrent = field === current
  const first = field === 'NAME' ? 'ASC' : 'DESC'
  const next = isCurrent ? (direction === 'ASC' ? 'DESC' : 'ASC') : first
  return (
    <button
      type="button"
      class={`sort ${field === 'NAME' ? 'name' : field === 'SIZE' ? 'size' : 'when'}`}
      aria-label={text.files.sortBy(label)}
      aria-pressed={isCurrent}
      onClick={() => look({ field, direction: next })}
    >
      {label}
      {isCurrent && <span class={direction === 'ASC' ? 'arrow up' : 'arrow'} aria-hidden="true" />}
    </button>
  )
}

function SelectionBar() {
  const ids = [...selected.value]
  const count = ids.length
  const isTrash = view.value.deleted
  return (
    <div class="list-head selection" role="toolbar" aria-label={text.files.selected(formatNumber(count), count === 1)}>
      <SelectAll />
      <strong aria-live="polite">{text.files.selected(formatNumber(count), count === 1)}</strong>
      {isTrash ? (
        <button type="button" onClick={() => restoreFiles(ids)}>
          <Icon name="restore" /> {text.files.restore}
        </button>
      ) : (
        <button type="button" onClick={() => deleteFiles(ids)}>
          <Icon name="trash" /> {text.files.delete}
        </button>
      )}
      <button type="button" class="quiet" onClick={() => (selected.value = new Set())}>
        {text.files.unselect}
      </button>
    </div>
  )
}

let lastTicked = -1

function List({ isTrash }: { isTrash: boolean }) {
  const [focused, setFocused] = useState(0)
  const grid = useRef<HTMLDivElement>(null)
  const all = rows.value

  function tick(index: number, isRange: boolean) {
    const next = new Set(selected.value)
    const row = all[index]
    if (row === undefined) return
    const isOn = !next.has(row.id)
    const [from, to] = isRange && lastTicked >= 0 ? [Math.min(lastTicked, index), Math.max(lastTicked, index)] : [index, index]
    for (const one of all.slice(from, to + 1)) {
      if (isOn) next.add(one.id)
      else next.delete(one.id)
    }
    lastTicked = index
    selected.value = next
  }

  function move(to: number) {
    const index = Math.max(0, Math.min(all.length - 1, to))
    setFocused(index)
    const box = grid.current?.querySelector('.virtual')
    if (box === null || box === undefined) return
    const top = index * ROW_HEIGHT
    if (top < box.scrollTop) box.scrollTop = top
    else if (top + ROW_HEIGHT > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW_HEIGHT - box.clientHeight
    requestAnimationFrame(() => grid.current?.querySelector<HTMLElement>(`[data-index="${index}"]`)?.focus())
  }

  function onKey(event: KeyboardEvent) {
    const target = event.target as HTMLElement
    const index = Number(target.closest<HTMLElement>('[data-index]')?.dataset.index ?? focused)
    const page = Math.max(1, Math.floor((grid.current?.clientHeight ?? ROW_HEIGHT) / ROW_HEIGHT) - 1)
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }
    const step = steps[event.key]
    if (step !== undefined) move(index + step)
    else if (event.key === 'Home') move(0)
    else if (event.key === 'End') move(all.length - 1)
    else if (target.dataset.index === undefined) return
    else if (event.key === ' ') tick(index, event.shiftKey)
    else if (event.key === 'Enter') go('file', all[index]?.id ?? '')
    else if (event.key === 'Delete') {
      const row = all[index]
      if (row !== undefined && !isTrash) void deleteFiles(selected.value.size > 0 ? [...selected.value] : [row.id])
    } else return
    event.preventDefault()
  }

  if (listFault.value !== '' && all.length === 0) return <ListFault />
  if (all.length === 0 && !isLoading.value && !hasMore.value) return <Empty isTrash={isTrash} />
  return (
    <div
      class="list"
      ref={grid}
      {...(all.length === 0 ? {} : rowsOf(isTrash))}
      aria-busy={isLoading.value}
      onKeyDown={onKey}
    >
      {newer.value > 0 && (
        <div role="row">
          <div role="gridcell">
            <button type="button" class="newer" onClick={() => reload()}>
              {text.files.newer}
            </button>
          </div>
        </div>
      )}
      {all.length === 0 && <Skeleton />}
      <Virtual
        count={all.length}
        rowHeight={ROW_HEIGHT}
        label={text.files.list}
        onSeen={(to, from) => {
          isAtTop.value = from === 0
          if (to > all.length - AHEAD_ROWS) void loadMore()
        }}
      >
        {(from, to) =>
          all
            .slice(from, to)
            .map((row, offset) => (
              <Row
                key={row.id}
                row={row}
                index={from + offset}
                isFocused={from + offset === focused}
                isSelected={selected.value.has(row.id)}
                onTick={tick}
                onFocus={setFocused}
              />
            ))
        }
      </Virtual>
    </div>
  )
}

/** What makes a grid of it; one without rows would be none. */
function rowsOf(isTrash: boolean) {
  const label = isTrash ? text.files.trashTitle : text.files.list
  return { role: 'grid', 'aria-label': label, 'aria-rowcount': total.value ?? -1, 'aria-multiselectable': true } as const
}

interface RowProps {
  row: FileRow
  index: number
  isFocused: boolean
  isSelected: boolean
  onTick: (index: number, isRange: boolean) => void
  onFocus: (index: number) => void
}

function Row({ row, index, isFocused, isSelected, onTick, onFocus }: RowProps) {
  const isMine = row.uploadedBy?.id === session.value?.userId
  const folder = noted(row, 'folder')
  const mayChange = mayUpload.value && (isMine || isAdmin.value)
  return (
    <div
      class="file-row"
      role="row"
      aria-rowindex={index + 1}
      aria-selected={isSelected}
      data-index={index}
      data-id={row.id}
      tabIndex={isFocused ? 0 : -1}
      onFocus={() => onFocus(index)}
    >
      <div role="gridcell" class="tick-cell">
        <label class="tick">
          <input
            type="checkbox"
            tabIndex={-1}
            checked={isSelected}
            aria-label={text.files.select(row.name)}
            onClick={(event) => onTick(index, event.shiftKey)}
          />
        </label>
      </div>
      <div role="gridcell" class="name">
        <Icon name={iconOf(row.contentType)} />
        <span class="name-text">
          <a href={hrefOf('file', row.id)} tabIndex={-1} dir="auto" title={row.name}>
            {row.name}
          </a>
          <small>
            {row.status !== 'READY' && <em class={`status ${row.status}`}>{text.files.status[row.status] ?? row.status}</em>}
            {folder !== '' && (
              <span class="folder" dir="auto">
                {folder}
              </span>
            )}
            {row.visibility !== 'PRIVATE' && <span class="badge">{text.visibility[row.visibility]}</span>}
            {row.resource !== null && (
              <span class="badge" dir="auto">{`${row.resource.type} ${row.resource.id}`}</span>
            )}
            <span class="only-small">
              {formatBytes(row.size)} · {formatWhen(row.createdAt)}
            </span>
          </small>
        </span>
      </div>
      <div role="gridcell" class="size">
        {formatBytes(row.size)}
      </div>
      <div role="gridcell" class="when">
        <time dateTime={row.createdAt} title={formatMoment(row.createdAt)}>
          {formatWhen(row.createdAt)}
        </time>
      </div>
      <div role="gridcell" class="by" dir="auto">
        {isMine ? text.files.you : row.uploadedBy === null ? '' : nameOf(row.uploadedBy)}
      </div>
      <div role="gridcell" class="row-actions">
        {mayChange &&
          (row.deletedAt === null ? (
            <IconButton icon="trash" label={`${text.files.delete}: ${row.name}`} onClick={() => deleteFiles([row.id])} />
          ) : (
            <IconButton icon="restore" label={`${text.files.restore}: ${row.name}`} onClick={() => restoreFiles([row.id])} />
          ))}
      </div>
    </div>
  )
}

export function iconOf(contentType: string): IconName {
  if (contentType.startsWith('image/')) return 'image'
  if (contentType.startsWith('video/') || contentType.startsWith('audio/')) return 'media'
  if (/csv|parquet|json|spreadsheet|excel/.test(contentType)) return 'table'
  return 'page'
}

function Skeleton() {
  return (
    <div class="skeleton" aria-hidden="true">
      {[62, 48, 71, 55, 40].map((width) => (
        <div key={width} style={{ inlineSize: `${width}%` }} />
      ))}
    </div>
  )
}

function ListFault() {
  return (
    <div class="empty" role="alert">
      <Icon name="alert" />
      <h2>{text.files.failed}</h2>
      <p>{listFault.value}</p>
      <button type="button" onClick={() => reload()}>
        {text.retry}
      </button>
    </div>
  )
}

function Empty({ isTrash }: { isTrash: boolean }) {
  if (isFiltered.value) {
    return (
      <div class="empty">
        <Icon name="search" />
        <h2>{text.files.nothing}</h2>
        <p>{text.files.nothingLead}</p>
        <button type="button" onClick={() => look({ search: '', type: 'all', visibility: '' })}>
          {text.files.clear}
        </button>
      </div>
    )
  }
  return (
    <div class="empty">
      <Icon name={isTrash ? 'trash' : 'upload'} />
      <h2>{isTrash ? text.files.emptyTrash : text.files.empty}</h2>
      <p>{isTrash ? text.files.emptyTrashLead : mayUpload.value ? text.files.emptyLead : text.uploads.viewer}</p>
      {!isTrash && mayUpload.value && (
        <button type="button" class="primary" onClick={() => choose(false)}>
          {text.uploads.choose}
        </button>
      )}
    </div>
  )
}
