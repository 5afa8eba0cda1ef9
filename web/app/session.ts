/**
 * Who is logged in, in every tab of this browser alike.
 *
 * The access token is short-lived and renewed with the refresh token, which is good for one use: only one tab at a time
 * renews. A log-in that ended on the server leaves `mustLogIn` set, and whoever needs a token waits for the next one.
 */

import { computed, effect, signal } from '@preact/signals'

export interface Session {
  accessToken: string
  expiresAt: string
  refreshToken: string
  userId: string
  userName: string
  tenantId: string | null
}

export type Renewal = (refreshToken: string, tenantId?: string) => Promise<Session | 'refused'>

const STORAGE_KEY = 'lighterage.session'
const RENEW_BEFORE_EXPIRY_MS = 30_000

const stored = signal<Session | null>(read())
/** The server ended the log-in: the page stays as it is and asks for a new one. */
export const mustLogIn = signal(false)
export const session = computed(() => stored.value)

addEventListener('storage', (event) => {
  if (event.key === STORAGE_KEY) adopt(read())
})

function read(): Session | null {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY) ?? 'null') as Session | null
  } catch {
    return null
  }
}

function adopt(next: Session | null): void {
  stored.value = next
  if (next !== null) mustLogIn.value = false
}

export function keep(next: Session | null): void {
  if (next === null) localStorage.removeItem(STORAGE_KEY)
  else localStorage.setItem(STORAGE_KEY, JSON.stringify(next))
  adopt(next)
}

/** Forget who is logged in, of one's own will. */
export function forget(): void {
  mustLogIn.value = false
  keep(null)
}

let renewal: Promise<void> | null = null

/** Give an access token that is good for a while yet; waits while a new log-in is needed. Null: nobody is logged in. */
export async function accessToken(renew: Renewal): Promise<string | null> {
  for (;;) {
    if (mustLogIn.value) await loggedIn()
    const current = stored.value
    if (current === null) return null
    if (Date.parse(current.expiresAt) - Date.now() > RENEW_BEFORE_EXPIRY_MS) return current.accessToken
    await renewed(renew, current.accessToken)
  }
}

/** Get another token in place of one that the server refused. */
export async function replace(renew: Renewal, refused: string): Promise<void> {
  if (stored.value?.accessToken === refused) await renewed(renew, refused)
}

/** Go into another tenant with the same log-in. */
export async function enter(renew: Renewal, tenantId: string): Promise<boolean> {
  return alone(async () => {
    const current = read()
    if (current === null) return false
    const next = await renew(current.refreshToken, tenantId)
    if (next === 'refused') return false
    keep(next)
    return true
  })
}

function renewed(renew: Renewal, old: string): Promise<void> {
  renewal ??= alone(async () => {
    // Another tab may have renewed it while this one waited.
    const current = read()
    if (current === null || current.accessToken !== old) return adopt(current)
    const next = await renew(current.refreshToken)
    if (next !== 'refused') return keep(next)
    mustLogIn.value = true
  }).finally(() => (renewal = null))
  return renewal
}

/** Run something in one tab at a time, where the browser has locks (only over HTTPS or on this machine). */
async function alone<T>(run: () => Promise<T>): Promise<T> {
  if (navigator.locks === undefined) return run()
  return (await navigator.locks.request(STORAGE_KEY, run)) as T
}

function loggedIn(): Promise<void> {
  return new Promise((resolve) => {
    let dispose: (() => void) | undefined
    let isOver = false
    dispose = effect(() => {
      if (mustLogIn.value || isOver) return
      isOver = true
      resolve()
      queueMicrotask(() => dispose?.())
    })
  })
}
