/** Dark or light: as the system is, until somebody says otherwise; that is kept. */

import { effect, signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'

const STORAGE_KEY = 'lighterage.theme'
const kept = localStorage.getItem(STORAGE_KEY)

export const theme = signal<Theme>(kept === 'light' || kept === 'dark' ? kept : 'system')

effect(() => {
  if (theme.value === 'system') {
    localStorage.removeItem(STORAGE_KEY)
    delete document.documentElement.dataset.theme
  } else {
    localStorage.setItem(STORAGE_KEY, theme.value)
    document.documentElement.dataset.theme = theme.value
  }
})
