/** Whether the server can be reached: told by whoever fails to, and found out again by asking until it can. */

import { computed, signal } from '@preact/signals'

const PROBE_INTERVAL_MS = 1500
const PROBE_TIMEOUT_MS = 5000
const AWAY_STATUS = new Set([502, 503, 504])

const isAway = signal(false)
const isOffline = signal(!navigator.onLine)
/** How often the server came back; whoever shows something loads it again. */
export const returns = signal(0)
export const connection = computed<'ok' | 'away' | 'offline'>(() =>
  isOffline.value ? 'offline' : isAway.value ? 'away' : 'ok',
)

let probing: ReturnType<typeof setTimeout> | null = null

addEventListener('offline', () => {
  isOffline.value = true
  tellAway()
})
addEventListener('online', () => {
  isOffline.value = false
  void probe()
})

/** Say that a request did not reach the server. */
export function tellAway(): void {
  isAway.value = true
  probing ??= setTimeout(probe, PROBE_INTERVAL_MS)
}

export function tellStatus(status: number): void {
  if (AWAY_STATUS.has(status)) tellAway()
}

/** Wait until the server can be reached. */
export async function reachable(): Promise<void> {
  while (connection.value !== 'ok') await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL_MS / 3))
}

async function probe(): Promise<void> {
  if (probing !== null) clearTimeout(probing)
  probing = null
  try {
    const answer = await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
    if (answer.ok) {
      if (isAway.value) returns.value += 1
      isAway.value = false
      return
    }
  } catch {
    // Still away.
  }
  isAway.value = true
  probing = setTimeout(probe, PROBE_INTERVAL_MS)
}
