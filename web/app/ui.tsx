/** Small parts that every view uses: icons, dialogs, toasts, fields. */

import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'

import { messageOf } from './api'
import { text } from './text'

const PATHS = {
  files: 'M4 6.5A1.5 1.5 0 0 1 5.5 5h4l2 2.5h7A1.5 1.5 0 0 1 20 9v9a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 18z',
  query: 'M5 5h14v14H5zM5 10h14M10 10v9',
  trash: 'M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.5 10.5v6M13.5 10.5v6',
  link: 'M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1.2 1.2M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1.2-1.2',
  team: 'M9 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3.5 19a5.5 5.5 0 0 1 11 0M15.5 11a2.5 2.5 0 1 0-.5-5M16.5 14.2a5 5 0 0 1 4 4.8',
  key: 'M8 15.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM11.5 12H20v3M17 12v2.5',
  person: 'M12 12a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM5.5 19.5a6.5 6.5 0 0 1 13 0',
  upload: 'M12 16V5m-4.5 4.5L12 5l4.5 4.5M5 19h14',
  download: 'M12 5v11m-4.5-4.5L12 16l4.5-4.5M5 19.5h14',
  folder: 'M4 6.5A1.5 1.5 0 0 1 5.5 5h4l2 2.5h7A1.5 1.5 0 0 1 20 9v9a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 18z',
  image: 'M4.5 5h15v14h-15zM4.5 16l4-4 3.5 3.5 3-3 4.5 4.5M15 9.5h.01',
  table: 'M4.5 5h15v14h-15zM4.5 10h15M4.5 14.5h15M10 5v14',
  page: 'M6.5 4h7l4 4v12h-11zM13.5 4v4h4',
  media: 'M5 5h14v14H5zM10.5 9v6l4.5-3z',
  pause: 'M9 6v12M15 6v12',
  play: 'M8 5.5v13l10-6.5z',
  close: 'M6.5 6.5l11 11M17.5 6.5l-11 11',
  retry: 'M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  alert: 'M12 4.5l8.5 15h-17zM12 10v4.5M12 17h.01',
  search: 'M11 17a6 6 0 1 0 0-12 6 6 0 0 0 0 12zM15.5 15.5L20 20',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6L7 7M17 17l1.4 1.4M5.6 18.4L7 17M17 7l1.4-1.4',
  moon: 'M19.5 14A8 8 0 0 1 10 4.5a8 8 0 1 0 9.5 9.5z',
  screen: 'M4 5.5h16v10H4zM9 19.5h6M12 15.5v4',
  chart: 'M5 19h14M7 16v-4M12 16V7M17 16v-6',
  back: 'M14.5 6l-6 6 6 6',
  down: 'M7 10l5 5 5-5',
  copy: 'M8.5 8.5h11v11h-11zM15.5 8.5v-4h-11v11h4',
  more: 'M6 12h.01M12 12h.01M18 12h.01',
  restore: 'M5 12a7 7 0 1 0 2.2-5.1M5 4v4h4',
  code: 'M9 8l-4 4 4 4M15 8l4 4-4 4',
  out: 'M14 5h5v14h-5M15 12H5m3.5-3.5L5 12l3.5 3.5',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  )
}

interface IconButtonProps {
  icon: IconName
  label: string
  onClick: () => void
  disabled?: boolean
}

export function IconButton({ icon, label, onClick, disabled = false }: IconButtonProps) {
  return (
    <button type="button" class="icon-button" aria-label={label} title={label} disabled={disabled} onClick={onClick}>
      <Icon name={icon} />
    </button>
  )
}

// ---- dialogs

interface DialogProps {
  title: string
  children: ComponentChildren
  /** Absent: it cannot be closed without doing what it asks for. */
  onClose?: () => void
}

/** A modal dialog; the browser keeps the focus in it and gives it back. */
export function Dialog({ title, children, onClose }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    return () => shown?.close()
  }, [])
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose?.()
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose?.()
      }}
    >
      <div class="dialog-body">
        <header>
          <h2 id={id}>{title}</h2>
          {onClose !== undefined && <IconButton icon="close" label={text.close} onClick={onClose} />}
        </header>
        {children}
      </div>
    </dialog>
  )
}

interface Question {
  title: string
  action: string
  answer: (yes: boolean) => void
}

const question = signal<Question | null>(null)

/** Ask before something that cannot be undone. */
export function confirmed(title: string, action: string): Promise<boolean> {
  return new Promise((resolve) => {
    question.value = {
      title,
      action,
      answer: (yes) => {
        question.value = null
        resolve(yes)
      },
    }
  })
}

export function Questions() {
  const asked = question.value
  if (asked === null) return null
  return (
    <Dialog title={asked.title} onClose={() => asked.answer(false)}>
      <div class="actions">
        <button type="button" onClick={() => asked.answer(false)}>
          {text.cancel}
        </button>
        <button type="button" class="danger" onClick={() => asked.answer(true)}>
          {asked.action}
        </button>
      </div>
    </Dialog>
  )
}

// ---- toasts

interface Toast {
  id: number
  message: string
  kind: 'info' | 'error'
  action: { label: string; run: () => void } | undefined
}

const TOAST_MS = 6000
const TOASTS_MAX = 4
const toasts = signal<Toast[]>([])
let lastToast = 0

export function toast(message: string, options: { kind?: Toast['kind']; action?: Toast['action'] } = {}): void {
  lastToast += 1
  const id = lastToast
  const shown = { id, message, kind: options.kind ?? 'info', action: options.action }
  toasts.value = [...toasts.value, shown].slice(-TOASTS_MAX)
  setTimeout(() => dismiss(id), shown.kind === 'error' ? TOAST_MS * 2 : TOAST_MS)
}

export function toastFault(error: unknown): void {
  toast(messageOf(error), { kind: 'error' })
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id)
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((one) => (
        <div key={one.id} class={`toast ${one.kind}`}>
          <Icon name={one.kind === 'error' ? 'alert' : 'check'} />
          <span>{one.message}</span>
          {one.action !== undefined && (
            <button
              type="button"
              class="link"
              onClick={() => {
                one.action?.run()
                dismiss(one.id)
              }}
            >
              {one.action.label}
            </button>
          )}
          <IconButton icon="close" label={text.close} onClick={() => dismiss(one.id)} />
        </div>
      ))}
    </div>
  )
}

// ---- forms

interface FieldProps {
  label: string
  hint?: string
  children: (ids: { id: string; 'aria-describedby'?: string }) => ComponentChildren
}

export function Field({ label, hint, children }: FieldProps) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(hint === undefined ? { id } : { id, 'aria-describedby': `${id}-hint` })}
      {hint !== undefined && (
        <small id={`${id}-hint`} class="hint">
          {hint}
        </small>
      )}
    </div>
  )
}

/** Run what a form does: one at a time, its fault shown beside it. */
export function useAction(): {
  isBusy: boolean
  fault: string
  run: (action: () => Promise<void>) => Promise<void>
} {
  const [isBusy, setBusy] = useState(false)
  const [fault, setFault] = useState('')
  const run = async (action: () => Promise<void>): Promise<void> => {
    setBusy(true)
    setFault('')
    try {
      await action()
    } catch (error) {
      setFault(messageOf(error))
    } finally {
      setBusy(false)
    }
  }
  return { isBusy, fault, run }
}

export function Fault({ message }: { message: string }) {
  return (
    <p class="fault" role="alert">
      {message !== '' && <Icon name="alert" />}
      {message}
    </p>
  )
}

export function fieldsOf(event: Event): (name: string) => string {
  event.preventDefault()
  const fields = new FormData(event.currentTarget as HTMLFormElement)
  return (name) => String(fields.get(name) ?? '').trim()
}

export function CopyField({ label, value }: { label: string; value: string }) {
  const [isCopied, setCopied] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  async function copy() {
    try {
      await navigator.clipboard.writeText(value)
    } catch {
      // Pages that came over plain HTTP have no clipboard; the old way needs a selection.
      input.current?.select()
      document.execCommand('copy')
    }
    setCopied(true)
    setTimeout(() => setCopied(false), 2000)
  }
  return (
    <Field label={label}>
      {(ids) => (
        <div class="with-button">
          <input {...ids} ref={input} readOnly value={value} dir="ltr" onFocus={(event) => event.currentTarget.select()} />
          <button type="button" onClick={copy}>
            <Icon name={isCopied ? 'check' : 'copy'} />
            <span aria-live="polite">{isCopied ? text.copied : text.copy}</span>
          </button>
        </div>
      )}
    </Field>
  )
}

export function Bar({ part, label, isStopped = false }: { part: number; label: string; isStopped?: boolean }) {
  const percent = Math.round(part * 100)
  return (
    <div class={isStopped ? 'bar stopped' : 'bar'} role="progressbar" aria-label={label} aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100}>
      <div style={{ inlineSize: `${part * 100}%` }} />
    </div>
  )
}
