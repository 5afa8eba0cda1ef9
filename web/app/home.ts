/** The workspace one is in: its limits and use, one's role in it, and the others one could go to. */

import { computed, signal } from '@preact/signals'

import { ask } from './api'
import { HOME, type Home } from './operations'
import { session } from './session'

export const home = signal<Home | null>(null)

export const role = computed(() => {
  const here = home.value?.tenant?.id
  const memberships = home.value?.viewer?.memberships.nodes ?? []
  return memberships.find((membership) => membership.tenant.id === here)?.role ?? 'VIEWER'
})
export const isAdmin = computed(() => role.value === 'OWNER' || role.value === 'ADMIN')
export const mayUpload = computed(() => role.value !== 'VIEWER')

export async function loadHome(): Promise<void> {
  const asked = session.value?.userId
  const answer = await ask(HOME, {})
  if (session.value?.userId === asked) home.value = answer
}

/** Bytes that may still be stored; null: no limit. */
export const freeBytes = computed(() => {
  const tenant = home.value?.tenant
  const max = tenant?.limits.maxBytesStored ?? null
  if (tenant == null || max === null) return null
  return Math.max(0, max - tenant.usage.bytesStored - tenant.usage.bytesInFlight)
})
